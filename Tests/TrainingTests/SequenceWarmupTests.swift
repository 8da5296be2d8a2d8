import Basics
import Checkpointing
import Kernels
import TestSupport
import Testing
import Training
import Transformer

/// Runs that begin with short sequences.
@Suite struct SequenceWarmupTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Eight steps over 16 tokens: pieces of 4 in the first two, of 8 in the two after them.
    private func configuration(
        _ run: String, _ options: [(name: String, value: String)] = [("sequence-warmup", "4:0.25,8:0.5")]
    ) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.initFrom = nil
        (configuration.steps, configuration.warmupSteps) = (8, 2)
        for (name, value) in FamilyRunTests.options(.gpt2) + options { try configuration.set(name, value) }
        return configuration
    }

    private func record(_ run: String, step: Int = 8) throws -> RunRecord {
        try RunRecord(directory, runDirectory: directory.file(run), step: step)
    }

    // MARK: The list

    @Test func theLengthOfAStep() throws {
        let warmup = try #require(SequenceWarmup("64:0.25,128:0.5"))
        #expect(warmup.lengths == [64, 128] && warmup.text == "64:0.25,128:0.5")
        let lengths = (0..<10).map { warmup.length(at: $0, of: 10) }
        // A quarter of ten steps is 2.5, and that is three.
        #expect(lengths == [64, 64, 64, 128, 128, nil, nil, nil, nil, nil])
        #expect(warmup.length(at: 249_999_999_999, of: 999_999_999_999) == 64)
        #expect(warmup.length(at: 250_000_000_000, of: 999_999_999_999) == 128)
        let whole = try #require(SequenceWarmup("1:0,2:1.0"))
        #expect((0..<3).map { whole.length(at: $0, of: 3) } == [2, 2, 2] && whole.text == "1:0.0,2:1.0")
    }

    @Test(arguments: [
        "", "64", "64:", ":0.5", "64:0.5,", ",64:0.5", "64:0.5:1", "a:0.5", "64:b", "0:0.5", "-4:0.5", "64:-0.5",
        "64:1.1",
        "64:nan", "64:inf", "64:0.5,64:0.75", "128:0.25,64:0.5", "64:0.5,128:0.5", "64:0.5,128:0.25",
        "64:0.5, 128:0.75",
        "6.4:0.5",
    ])
    func whatIsNoList(text: String) { #expect(SequenceWarmup(text) == nil) }

    @Test(arguments: [("16:0.5", 16), ("32:0.5", 32), ("4:0.25,6:0.5", 6)])
    func aLengthThatDoesNotFit(text: String, length: Int) throws {
        let configuration = try configuration("run", [("sequence-warmup", text)])
        let error = try #require(throws: AgreedError.self) { try train(configuration, ranks: 2) }
        #expect(error.exitCode == .usage)
        #expect(error.description.contains("cuts sequences of 16 tokens into pieces of \(length); give"), "\(error)")
    }

    // MARK: Runs

    static let rows = [Architecture.gpt2, .modern, .gptNeoX].flatMap { architecture in
        Precision.allCases.flatMap { precision in
            [false, true].map { FamilyRunTests.Row(architecture: architecture, precision: precision, drops: $0) }
        }
    }

    @Test("on 1, 2 and 4 ranks, and stopped in the middle of lengths on 4 and on 2 and gone on with", arguments: rows)
    func sameBits(row: FamilyRunTests.Row) throws {
        let options =
            FamilyRunTests.options(row.architecture)
            + [("sequence-warmup", "4:0.25,8:0.5"), ("precision", row.precision.rawValue)]
            + (row.drops ? [("dropout", "0.2")] : [])
        let again = row.drops ? [("recompute", "true")] : []
        try train(configuration("whole", options), ranks: 1)
        let whole = try record("whole")
        #expect(whole.texts("sequence_length") == ["4", "4", "8", "8", "16", "16", "16", "16"])
        #expect(whole.texts("tokens") == (1...8).map { "\($0 * 64)" })
        func expectSame(_ run: String) throws {
            let record = try record(run)
            for name in ["model.safetensors", "optimizer.safetensors"] {
                #expect(record.hashes[name] == whole.hashes[name], "\(name) of \(run)")
            }
            for name in ["train_loss", "grad_norm", "sequence_length"] {
                #expect(record.texts(name) == whole.texts(name), "\(name) of \(run)")
            }
        }
        for ranks in [2, 4] {
            try train(configuration("on \(ranks)", options + again), ranks: ranks)
            try expectSame("on \(ranks)")
        }
        for (stop, ranks) in [(1, 4), (3, 2)] {
            var cut = try configuration("cut", options + again)
            cut.stopAfter = stop
            #expect(try train(cut, ranks: ranks) == .stopped)
        }
        // The checkpoint knows the lengths.
        let rest = (options + again).filter { $0.name != "sequence-warmup" }
        #expect(try train(configuration("cut", rest), ranks: 1) == .finished)
        try expectSame("cut")
    }

    /// Read in order, the tokens of a step are those of four times the sequences of a quarter of the context: while the
    /// pieces are as short the run is that run. The family has no table of positions, so the weights are drawn alike.
    @Test func theFirstStepsAreThoseOfAShorterContext() throws {
        let options = FamilyRunTests.options(.modern) + [("no-shuffle", "true")]
        try train(configuration("long", options + [("sequence-warmup", "4:0.5")]), ranks: 2)
        var short = try configuration("short", options + [("context-length", "4")])
        (short.microBatch, short.globalBatch) = (4, 16)
        try train(short, ranks: 2)
        for name in ["train_loss", "grad_norm", "tokens"] {
            let (long, expected) = (try record("long").texts(name), try record("short").texts(name))
            #expect(long[..<4] == expected[..<4], "\(name)")
            if name != "tokens" { #expect(long[4] != expected[4], "\(name)") }
        }
    }

    /// An evaluation reads whole sequences, at a step that is cut too.
    @Test func evaluationsAreOfTheWholeContext() throws {
        func losses(_ options: [(name: String, value: String)], _ run: String) throws -> [String?] {
            var configuration = try configuration(run, options + [("learning-rate", "0"), ("eval-interval", "2")])
            configuration.validationData = configuration.trainData
            try train(configuration, ranks: 1)
            return try record(run).texts("val_loss")
        }
        let expected = try losses([], "plain")
        #expect(expected.compactMap { $0 }.count == 4)
        #expect(try losses([("sequence-warmup", "4:0.25,8:0.5")], "warm") == expected)
    }

    @Test func theStartSaysTheLengths() throws {
        var configuration = try configuration("run")
        configuration.stopAfter = 1
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        let line = "sequences: 4 tokens until step 2, 8 tokens until step 4, then 16"
        #expect(reporter.lines.contains(line), "\(reporter.lines)")
        let plain = RecordingReporter()
        try train(self.configuration("plain", []), ranks: 1, reporter: plain)
        #expect(!plain.lines.contains { $0.hasPrefix("sequences: ") })
        #expect(try record("plain").texts("sequence_length") == [String?](repeating: nil, count: 8))
    }

    // MARK: Resumes

    @Test(arguments: [
        ("4:0.25,8:0.5", "none"), ("4:0.25,8:0.5", "4:0.25"), ("4:0.25,8:0.5", "4:0.25,8:0.75"), ("none", "4:0.25"),
    ])
    func anotherListIsAnotherRun(saved: String, given: String) throws {
        var first = try configuration("run", [("sequence-warmup", saved)])
        first.stopAfter = 3
        try train(first, ranks: 1)
        let other = try configuration("run", [("sequence-warmup", given)])
        let error = try #require(throws: AgreedError.self) { try train(other, ranks: 1) }
        #expect(error.exitCode == .usage)
        let message = "--sequence-warmup is \(given), the checkpoint has \(saved)"
        #expect(error.description.contains(message), "\(error)")
    }

    /// A longer run is another curve and other lengths at its steps: both are stretched.
    @Test func anExtensionStretchesTheLengths() throws {
        var first = try configuration("run")
        first.stopAfter = 3
        try train(first, ranks: 1)
        var longer = try configuration("run", [("extend-schedule", "true"), ("steps", "16")])
        longer.stopAfter = 6
        try train(longer, ranks: 2)
        longer.stopAfter = nil
        try train(longer, ranks: 1)
        let lengths = try record("run", step: 16).texts("sequence_length")
        #expect(lengths == ["4", "4", "8", "4", "8", "8", "8", "8"] + [String](repeating: "16", count: 8))
    }
}
