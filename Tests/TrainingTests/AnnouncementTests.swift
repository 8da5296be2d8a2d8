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
            (5, "the same on 1, 5 ranks"),
        ] as [(Int, String?)])
    func bitsOfOtherRanks(microBatches: Int, says: String?) throws {
        let said = try lines { $0.globalBatch = microBatches }.filter { $0.hasPrefix("bits: ") }
        #expect(said.count == (says == nil ? 0 : 1), "\(said)")
        if let says { #expect(said.first?.hasPrefix("bits: " + says) == true, "\(said)") }
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
