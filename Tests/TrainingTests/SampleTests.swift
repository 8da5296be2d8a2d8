import Basics
import Checkpointing
import Collectives
import Foundation
import Kernels
import Synchronization
import TestSupport
import Testing
import TokenData
import Training

/// `--sample-interval`: what a run writes with its own weights.
@Suite struct SampleTests {
    /// A tokenizer of 280 tokens with its shards.
    private static let corpus: Result<TemporaryDirectory, any Error> = Result {
        let directory = try TemporaryDirectory()
        let words = ["let", "var", "func", "return", "value", "index", "count", "self"]
        let text = (0..<6000).map { words[($0 * $0 + $0 / 5) % words.count] + ($0 % 9 == 0 ? "\n" : " ") }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory.file("text")))
        let output = CorpusOutput(path: FilePath(directory.file("data")))
        let source = try CorpusSource(paths: [FilePath(directory.file("text"))], output: output)
        _ = try CorpusTokenizer(source: source, output: output, validationFraction: 0)
            .run(tokenizer: nil, trainer: BPETrainer(vocabularySize: 280))
        return directory
    }

    /// Six steps of a small model, with a sample after each second one.
    private static func configuration(_ run: String, interval: Int? = 2) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.trainData = FilePath(try corpus.get().file("data/train_*.bin"))
        configuration.runDirectory = FilePath(run)
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (2, 2, 32)
        (configuration.contextLength, configuration.microBatch, configuration.globalBatch) = (16, 1, 4)
        (configuration.steps, configuration.warmupSteps, configuration.learningRate) = (6, 1, 0.01)
        (configuration.checkpointInterval, configuration.threads, configuration.precision) = (3, 1, .fp32)
        configuration.sampleInterval = interval
        configuration.samplePrompt = interval == nil ? nil : "let v"
        if interval != nil { configuration.sampleTokens = 24 }
        try configuration.validate()
        return configuration
    }

    private static func samples(_ run: String) throws -> [JSON] {
        let text = try String(contentsOfFile: run + "/samples.jsonl", encoding: .utf8)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return try text.split(separator: "\n").map { try JSON(Array($0.utf8)) }
    }

    private static func file(_ run: String) throws -> String {
        try String(contentsOfFile: run + "/samples.jsonl", encoding: .utf8)
    }

    /// The context is 16 tokens: such a text fills it and goes on. With `--recompute` in bf16 the model has no operands that
    /// a sample could read.
    @Test(
        "Samples are what generate writes from the step's checkpoint",
        arguments: [(Precision.fp32, false), (.bf16, false), (.bf16, true)])
    func samplesAreWhatGenerateWrites(precision: Precision, recomputes: Bool) throws {
        guard precision == .fp32 || Compute.hasFastBFloat16 else { return }
        let directory = try TemporaryDirectory()
        let run = directory.file("run")
        var configuration = try Self.configuration(run)
        (configuration.precision, configuration.checkpointInterval) = (precision, 2)
        (configuration.recompute, configuration.microBatch) = (recomputes, 4)
        let reporter = RecordingReporter()
        #expect(try train(configuration, ranks: 1, reporter: reporter) == .finished)
        let samples = try Self.samples(run)
        #expect(samples.map { $0["step"]?.int } == [2, 4, 6])
        for sample in samples {
            let step = try #require(sample["step"]?.int)
            let text = try #require(sample["text"]?.string)
            #expect(sample["prompt"]?.string == "let v" && !text.isEmpty)
            var options = TextGeneration.Options()
            options.checkpoint = FilePath(run + "/checkpoints/" + CheckpointName.directory(step: step))
            (options.prompt, options.maxTokens, options.precision) = ("let v", 24, precision)
            var bytes: [UInt8] = []
            try TextGeneration.run(options, warn: { _ in }, write: { bytes += $0 })
            #expect(String(decoding: bytes, as: UTF8.self) == "let v" + text, "step \(step)")
            #expect(reporter.lines.contains("sample at step \(step), after \"let v\":"))
        }
        #expect(Set(samples.map { $0["text"]?.string }).count > 1)
    }

    @Test("The same bits with samples and without, on any number of ranks", arguments: [1, 2])
    func trainingDoesNotChange(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var records: [RunRecord] = []
        for (name, interval) in [("with", 1), ("without", nil)] as [(String, Int?)] {
            try train(try Self.configuration(directory.file(name), interval: interval), ranks: ranks)
            records.append(try RunRecord(directory, runDirectory: directory.file(name), step: 6))
        }
        #expect(records[0].hashes == records[1].hashes)
        #expect(records[0].texts("train_loss") == records[1].texts("train_loss"))
        #expect(!FileManager.default.fileExists(atPath: directory.file("without/samples.jsonl")))
        try train(try Self.configuration(directory.file("again"), interval: 1), ranks: 3 - ranks)
        #expect(try Self.file(directory.file("again")) == Self.file(directory.file("with")))
    }

    /// Stopped after step 5, whose checkpoint is lost: it goes on from step 3.
    @Test("A resume drops the samples that it makes again", arguments: [true, false])
    func aResumeMakesThemAgain(asks: Bool) throws {
        let directory = try TemporaryDirectory()
        try train(try Self.configuration(directory.file("whole")), ranks: 1)
        let run = directory.file("run")
        var first = try Self.configuration(run)
        first.stopAfter = 5
        #expect(try train(first, ranks: 1) == .stopped)
        #expect(try Self.samples(run).map { $0["step"]?.int } == [2, 4])
        try FileManager.default.removeItem(atPath: run + "/checkpoints/" + CheckpointName.directory(step: 5))
        try train(try Self.configuration(run, interval: asks ? 2 : nil), ranks: 1)
        if asks {
            #expect(try Self.file(run) == Self.file(directory.file("whole")))
        } else {
            #expect(try Self.samples(run).map { $0["step"]?.int } == [2])
        }
    }

    @Test func theLastStepHasOne() throws {
        let directory = try TemporaryDirectory()
        let run = directory.file("run")
        try train(try Self.configuration(run, interval: 4), ranks: 1)
        #expect(try Self.samples(run).map { $0["step"]?.int } == [4, 6])
    }

    /// The first token is the one that stands before each document.
    @Test func withoutAPromptATextBegins() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Self.configuration(directory.file("run"))
        configuration.samplePrompt = nil
        try train(configuration, ranks: 1)
        let samples = try Self.samples(directory.file("run"))
        #expect(samples.count == 3)
        for sample in samples { #expect(sample["prompt"]?.string == "" && sample["text"]?.string?.isEmpty == false) }
    }

    @Test func aPromptBeyondTheContextIsCutWithAWarning() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Self.configuration(directory.file("run"))
        configuration.samplePrompt = String(repeating: "9", count: 20)
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        #expect(
            reporter.warnings.contains(
                "--sample-prompt has 20 tokens, the model's context 16: its first 4 are not seen"),
            "\(reporter.warnings)")
        #expect(try Self.samples(directory.file("run")).count == 3)
    }

    @Test("Without a tokenizer they are refused before there is a run directory", arguments: [1, 2])
    func noTokenizer(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.sampleInterval = 5
        let final = configuration
        let error = #expect(throws: AgreedError.self) { try train(final, ranks: ranks) }
        #expect(error?.exitCode == .missingInput)
        #expect(error?.description.hasPrefix("--sample-interval needs the tokenizer of the data") == true)
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
    }

    @Test(arguments: ["sample-prompt", "sample-tokens"]) func whatIsOfSamplesAlone(name: String) throws {
        var configuration = try Self.configuration("run", interval: nil)
        try configuration.set(name, "7")
        let error = #expect(throws: ExitError.self) { try configuration.validate() }
        #expect(error?.exitCode == .usage && error?.description.hasPrefix("--\(name) is of the texts") == true)
        configuration.sampleInterval = 3
        try configuration.validate()
    }

    /// Rank 0 alone reserves it, and all say before the first step whether it fits.
    @Test func theirMemoryIsPlanned() throws {
        let directory = try TemporaryDirectory()
        let planned = try [2, nil].map { interval in
            let configuration = try Self.configuration(directory.file("run"), interval: interval)
            return try ThreadWorld.run(worldSize: 2) { communicator in
                try Trainer(configuration, communicator: communicator, reporter: SilentReporter()).plannedBytes
            }
        }
        #expect(planned[0][0] > planned[1][0] && planned[0][1] == planned[1][1], "\(planned)")
        // Keys and values of 16 tokens in two layers at least, and no second copy of the weights.
        let more = planned[0][0] - planned[1][0]
        #expect(more > 2 * 2 * 16 * 32 * 4 && more < 4_000_000, "\(more)")
    }

    /// Looks at what the process is said to do, so this takes one of its own.
    @Test func theWatchdogKnowsOfThem() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let witness = Witness()
            let configuration = try SampleTests.configuration(directory.file("run"))
            _ = try Trainer(configuration, communicator: SingleProcess(), reporter: witness).run()
            #expect(witness.seen == ["sample 2", "sample 4", "sample 6"])
        }
    }

    private final class Witness: Reporter {
        private(set) var seen: [String] = []
        func line(_ text: String) {}
        func warning(_ text: String) {}
        func event(_ event: RunEvent) {
            guard case .sample(let sample) = event else { return }
            let state = Activity.state
            if state.step == sample.step { seen.append("\(state.section) \(sample.step)") }
        }
    }
}
