import Basics
import Checkpointing
import Collectives
import Kernels
import TestSupport
import Testing
import Training

/// What a run says before its first step.
@Suite struct AnnouncementTests {
    /// The lines of a run of one step.
    private func lines(_ change: (inout TrainingConfiguration) -> Void) throws -> [String] {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.stopAfter = 1
        change(&configuration)
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        return reporter.lines
    }

    @Test(
        "S19: a schedule whose decay does not fit says so",
        arguments: [
            ("linear", 50, nil, "the warm-up of 50 steps leaves none of 50 for a decay"),
            ("cosine", 60, nil, "the warm-up of 60 steps leaves none of 50 for a decay"),
            ("wsd", 50, nil, "the warm-up of 50 steps leaves none of 50 for a decay"),
            ("wsd", 45, nil, "the warm-up leaves 5 of 50 steps for the decay of wsd, less than a fifth"),
            ("wsd", 45, 5, nil), ("wsd", 40, nil, nil), ("linear", 49, nil, nil), ("constant", 50, nil, nil),
        ] as [(String, Int, Int?, String?)])
    func aDecayThatDoesNotFit(kind: String, warmup: Int, decay: Int?, says: String?) throws {
        let said = try lines { configuration in
            try? configuration.set("schedule", kind)
            configuration.warmupSteps = warmup
            configuration.decaySteps = decay
        }.filter { $0.hasPrefix("schedule: ") }
        #expect(said.count == (says == nil ? 0 : 1), "\(said)")
        if let says { #expect(said.first?.hasPrefix("schedule: " + says) == true, "\(said)") }
    }

    /// The run's micro-batches of a step, and what one rank says of other numbers of ranks.
    @Test(
        "S16: one rank says which numbers of ranks have its bits",
        arguments: [
            (4, nil), (1, nil), (6, "the same on 1, 3, 6 ranks"), (12, "the same on 1, 3, 6, 12 ranks"),
            (5, "the same on 1, 5 ranks"), (192, "the same on 1, 3, 6, 12, 24, 48, 96, 192 ranks"),
            (384, "the same on 1, 3, 6, 12, 24, 48, 96, 192, … ranks"),
        ] as [(Int, String?)])
    func bitsOfOtherRanks(microBatches: Int, says: String?) throws {
        let said = try lines { $0.globalBatch = microBatches }.filter { $0.hasPrefix("bits: ") }
        #expect(said.count == (says == nil ? 0 : 1), "\(said)")
        if let says { #expect(said.first?.hasPrefix("bits: " + says) == true, "\(said)") }
    }

    /// 256 sequences of 16 tokens, 24 a step, and 12 bytes of checkpoint for each parameter.
    @Test("M: what a run amounts to is told in its own numbers", arguments: [(1, 1), (2, 2)])
    func amounts(ranks: Int, threads: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"), microBatch: 3)
        configuration.initFrom = nil
        (configuration.vocabularySize, configuration.contextLength) = (64, 16)
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (2, 4, 256)
        configuration.globalBatch = 24
        configuration.threads = threads
        configuration.keep = 5
        configuration.validationData = configuration.trainData
        configuration.evalSequences = 48
        let final = configuration
        let reporter = RecordingReporter()
        _ = try ThreadWorld.run(worldSize: ranks) { communicator in
            let voice: any Reporter = communicator.rank == 0 ? reporter : SilentReporter()
            return try Trainer(final, communicator: communicator, reporter: voice).step
        }
        let parameters = 64 * 256 + 16 * 256 + 2 * (12 * 256 * 256 + 13 * 256) + 2 * 256
        for line in [
            "ranks: \(ranks) (\(ranks) threads), \(threads) \(threads == 1 ? "thread" : "threads") each, reduction exact",
            "model: gpt2, \(parameters) parameters, 2 layers, 4 heads, embedding 256, context 16, vocabulary 64",
            "data: 4097 tokens in 1 shard, 256 sequences, 10.7 steps an epoch",
            "batch: 24 sequences = \(8 / ranks) × 3 × \(ranks) ranks, 384 tokens a step",
            "validation: 48 of 256 sequences, spread evenly, 768 tokens",
            "checkpoint: \(12 * parameters / 1_000_000) MB each, 5 kept",
        ] { #expect(reporter.lines.contains(line), "\(line): \(reporter.lines)") }
        let options = try #require(reporter.lines.first { $0.hasPrefix("configuration: ") })
        #expect(options.contains(" micro-batch=3 ") && options.contains(" threads=\(threads) "), "\(options)")
    }

    @Test("P4: what an interrupted save left behind is named when it goes")
    func leftovers() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        let name = "step-00000010.tmp-0123456789abcdef"
        for (stop, said) in [(1, 0), (2, 1), (3, 0)] {
            configuration.stopAfter = stop
            let reporter = RecordingReporter()
            try train(configuration, ranks: 1, reporter: reporter)
            let lines = reporter.lines.filter { $0.hasPrefix("removed what an interrupted save left behind: ") }
            #expect(lines.count == said && lines.allSatisfy { $0.hasSuffix(": " + name) }, "\(lines)")
            if stop == 1 { try LocalFileSystem().makeDirectory(FilePath(directory.file("run/checkpoints/" + name))) }
        }
    }

    @Test("W2: amp is explained before it stands in a log line")
    func ampIsExplained() throws {
        let full = try lines { _ in }
        #expect(full.contains("amp false: all in fp32 (precision fp32)"))
        guard Compute.hasFastBFloat16 else { return }
        let half = try lines { $0.precision = .bf16 }
        let place = try #require(half.firstIndex(of: "amp true: matrix products in bf16 (precision bf16)"))
        #expect(place < (half.firstIndex { $0.contains("  amp true  ") } ?? half.count))
    }
}
