import Foundation
import SwiftletTokenizer
import SwiftletTraining
import TestSupport
import Testing

/// A run as another package makes it, through public declarations alone.
@Suite struct LibraryRunTests {
    /// Counts up from a number that the position gives.
    struct Counting: TokenSource {
        var name = "counting"
        let vocabularySize = 64
        var tokenizerPath: String?
        /// The position at which it fails.
        var failsAt: Int?

        func fill(_ tokens: inout MutableSpan<Int32>, position: Int) throws {
            if position == failsAt { throw SwiftletError("no such page", exitCode: 66) }
            for place in 0..<tokens.count { tokens[place] = Int32((position * 7 + place) % vocabularySize) }
        }
    }

    struct Steady: RateSchedule {
        let name = "steady"
        var value = 0.01
        func rate(at step: Int) -> Double { value }
    }

    private let folder = NSTemporaryDirectory() + "swiftlet-library-" + UUID().uuidString

    private func configuration(_ run: String, steps: Int = 6) throws -> Configuration {
        try Self.configuration(folder + "/" + run, steps: steps)
    }

    private static func configuration(_ path: String, steps: Int = 6) throws -> Configuration {
        var configuration = try Configuration(["precision": "fp32"])
        configuration.runDirectory = path
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (1, 2, 32)
        (configuration.contextLength, configuration.microBatch, configuration.globalBatch) = (16, 2, 4)
        (configuration.steps, configuration.threads) = (steps, 1)
        return configuration
    }

    private func clean() { try? FileManager.default.removeItem(atPath: folder) }

    @Test func trainsOnItsOwnDataAndSchedule() throws {
        defer { clean() }
        let ranks = try Ranks()
        #expect(ranks.count == 1 && ranks.rank == 0 && ranks.isFirst && ranks.implementation == "one process")
        var lines: [String] = []
        var steps: [StepReport] = []
        let run = try TrainingRun(
            configuration("run"), on: ranks, data: Counting(), schedule: Steady(), log: { lines.append($0) })
        #expect(run.step == 0 && run.contextLength == 16 && run.parameterCount > 10_000)
        #expect(try run.train { steps.append($0) } == .finished)
        #expect(run.step == 6 && steps.map(\.step) == Array(1...6))
        #expect(steps.allSatisfy { $0.learningRate == 0.01 && $0.epoch == 1 && $0.validationLoss == nil })
        #expect(steps[5].trainLoss < steps[0].trainLoss && steps[5].tokens == 6 * 4 * 16)
        #expect(
            lines.contains("data: source 'counting', without epochs")
                && lines.contains("checkpoint saved step-00000006"))
        let model = try TrainedModel(path: folder + "/run")
        #expect(model.step == 6 && model.parameterCount == run.parameterCount && model.architecture == "gpt2")
        #expect(model.contextLength == 16 && model.vocabularySize == 64)
        // Ids without a tokenizer are no text.
        let error = try #require(throws: SwiftletError.self) { try model.text(after: "a") }
        #expect(error.exitCode == 66)
        try ranks.leave()
    }

    /// A process that was asked to stop stops every run of its, so this takes one of its own.
    @Test func stopsAndGoesOnWithTheSameBits() async throws {
        defer { clean() }
        var whole: [StepReport] = []
        _ = try TrainingRun(configuration("whole"), on: Ranks(), data: Counting()).train { whole.append($0) }
        let path = folder + "/parts"
        await #expect(processExitsWith: .success) { [path = path as String] in
            let ranks = try Ranks()
            var outcomes: [TrainingRun.Outcome] = []
            for _ in 0..<2 {
                var configuration = try Self.configuration(path)
                configuration.logInterval = 1
                let run = try TrainingRun(configuration, on: ranks, data: Counting())
                outcomes.append(try run.train { if $0.step == 3 { TrainingRun.stop() } })
                #expect(outcomes.count == 2 || run.step == 3)
            }
            #expect(outcomes == [.stopped, .finished])
        }
        let lines = try String(contentsOfFile: path + "/metrics.jsonl", encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 6)
        for (line, step) in zip(lines, whole) {
            #expect(line.contains(#""train_loss":\#(step.trainLoss),"grad_norm":\#(step.gradientNorm),"#), "\(line)")
        }
    }

    @Test func shardsEvaluationAndText() throws {
        defer { clean() }
        let text = (0..<400).map { "line \($0 % 10) of a text that comes again\n" }.joined()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: folder + "/text.txt", atomically: true, encoding: .utf8)
        let corpus = try Corpus(tokenizing: [folder + "/text.txt"], into: folder + "/data", vocabularySize: 280)
        let ranks = try Ranks()
        var configuration = try configuration("run", steps: 4)
        configuration.trainData = folder + "/data/train_*.bin"
        configuration.validationData = folder + "/data/val_*.bin"
        configuration.evalInterval = 2
        try configuration.set("eval-sequences", to: "all")
        var losses: [Double] = []
        _ = try TrainingRun(configuration, on: ranks).train { losses += $0.validationLoss.map { [$0] } ?? [] }
        #expect(losses.count == 2)
        let model = try TrainedModel(path: folder + "/run")
        let evaluation = try model.evaluate(data: folder + "/data/val_*.bin", on: ranks)
        #expect(evaluation.loss == losses.last && evaluation.tokens <= corpus.validationTokens)
        #expect((evaluation.perplexity - exp(evaluation.loss)).magnitude < 1e-9)
        let last = try #require(
            String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8).split(separator: "\n").last)
        let bits = try #require(last.firstMatch(of: /"val_bpb":([0-9.e-]+)/)?.1)
        #expect(evaluation.bitsPerByte == Double(bits))
        let written = try model.text(after: "line", options: ["max-tokens": "5"])
        #expect(written.hasPrefix("line"))
        #expect(try model.text(after: "line", options: ["max-tokens": "5"]) == written)
        let error = try #require(throws: SwiftletError.self) { try model.text(after: "a", options: ["tempo": "1"]) }
        #expect(error.exitCode == 64 && error.description.contains("--tempo"), "\(error)")
    }

    @Test func aSourceCarriesItsTokenizer() throws {
        defer { clean() }
        try Tokenizer(trainingOn: ["a b c"], vocabularySize: 257).write(to: folder + "/tokenizer")
        var configuration = try configuration("run", steps: 1)
        try configuration.set("vocab-size", to: "257")
        let source = Counting(tokenizerPath: folder + "/tokenizer")
        _ = try TrainingRun(configuration, on: Ranks(), data: source).train()
        #expect(try TrainedModel(path: folder + "/run").text(after: "a", options: ["max-tokens": "1"]).hasPrefix("a"))
    }

    @Test func mistakesAreErrorsWithOneLine() throws {
        defer { clean() }
        let ranks = try Ranks()
        func expect(_ code: Int32, _ word: String, _ body: () throws -> Void) throws {
            let error = try #require(throws: SwiftletError.self) { try body() }
            #expect(error.exitCode == code && error.description.contains(word), "\(error)")
        }
        try expect(64, "--layerz is not an option of train") { _ = try Configuration(["layerz": "2"]) }
        try expect(64, "--layers is '0'") { _ = try Configuration(["layers": "0"]) }
        var wrong = try configuration("wrong")
        wrong.layers = 0
        try expect(64, "layers is '0', expected a whole number from 1") {
            _ = try TrainingRun(wrong, on: ranks, data: Counting())
        }
        wrong = try configuration("wrong")
        wrong.learningRate = .nan
        try expect(64, "learning-rate is 'nan'") { _ = try TrainingRun(wrong, on: ranks, data: Counting()) }
        wrong = try configuration("wrong")
        wrong.runDirectory = "~nobody/runs"
        try expect(64, "run-dir is '~nobody/runs', expected a path") {
            _ = try TrainingRun(wrong, on: ranks, data: Counting())
        }
        wrong.runDirectory = ""
        try expect(64, "--run-dir is missing") { _ = try TrainingRun(wrong, on: ranks, data: Counting()) }
        wrong = try configuration("wrong")
        try expect(64, "--train-data is missing") { _ = try TrainingRun(wrong, on: ranks) }
        wrong.trainData = "shards/*.bin"
        try expect(64, "brings the data 'counting'") { _ = try TrainingRun(wrong, on: ranks, data: Counting()) }
        try expect(66, "no such page") {
            _ = try TrainingRun(configuration("torn"), on: ranks, data: Counting(failsAt: 9)).train()
        }
        #expect(!FileManager.default.fileExists(atPath: folder + "/wrong"))
        _ = try TrainingRun(configuration("kept", steps: 2), on: ranks, data: Counting(), schedule: Steady()).train()
        try expect(64, "gives 0.02 for step 2") {
            _ = try TrainingRun(
                configuration("kept", steps: 2), on: ranks, data: Counting(), schedule: Steady(value: 0.02))
        }
        try expect(66, "none") { _ = try TrainedModel(path: folder + "/none") }
    }

    /// Every property is the option of its name, and every option can be set by its name.
    @Test func propertiesAreOptions() throws {
        var configuration = Configuration()
        (configuration.runDirectory, configuration.trainData, configuration.validationData) = ("r", "t", "v")
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (3, 5, 40)
        (configuration.contextLength, configuration.microBatch, configuration.globalBatch) = (17, 3, 9)
        (configuration.steps, configuration.warmupSteps, configuration.learningRate) = (11, 7, 0.125)
        (configuration.logInterval, configuration.evalInterval, configuration.checkpointInterval) = (13, 19, 23)
        (configuration.threads, configuration.seed) = (2, 4)
        let expected = [
            "run-dir": "r", "train-data": "t", "val-data": "v", "layers": "3", "heads": "5", "embedding-size": "40",
            "context-length": "17", "micro-batch": "3", "global-batch": "9", "steps": "11", "warmup-steps": "7",
            "learning-rate": "0.125", "log-interval": "13", "eval-interval": "19", "checkpoint-interval": "23",
            "threads": "2", "seed": "4",
        ]
        for (name, value) in expected { #expect(configuration[name] == value, "\(name)") }
        #expect(try Configuration(expected) == configuration)
        #expect(configuration["none"] == nil && Configuration.help(for: "none") == nil)
        #expect(Configuration.names.count > 60 && Configuration.names.allSatisfy { Configuration.help(for: $0) != nil })
        #expect(
            configuration.runDirectory == "r" && configuration.trainData == "t" && configuration.validationData == "v")
        #expect(configuration.layers == 3 && configuration.threads == 2 && configuration.seed == 4)
    }
}
