import Basics
import Checkpointing
import Collectives
import Kernels
import TestSupport
import Testing
import Training
import Transformer

/// Runs with `--optimizer muon`.
@Suite struct MuonRunTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Six steps of a model whose matrices are worth sharing.
    private func configuration(
        _ run: String, _ options: [(name: String, value: String)] = [], muon: Bool = true
    ) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.initFrom = nil
        (configuration.steps, configuration.warmupSteps) = (6, 2)
        for (name, value) in muon ? [("optimizer", "muon")] + options : options {
            try configuration.set(name, value)
        }
        return configuration
    }

    private static func shape(_ architecture: Architecture) -> [(name: String, value: String)] {
        [
            ("architecture", architecture.rawValue), ("layers", "2"), ("heads", "2"), ("embedding-size", "64"),
            ("context-length", "16"), ("vocab-size", "64"),
        ]
    }

    private func record(_ run: String) throws -> RunRecord {
        try RunRecord(directory, runDirectory: directory.file(run), step: 6)
    }

    /// A family that stores [in, out] and one that has queries, keys and values apart, in both precisions of the products.
    static let rows = [Architecture.gpt2, .modern].flatMap { architecture in
        Precision.allCases.map { (architecture, $0) }
    }

    @Test("on 1, 2 and 4 ranks, with 2 threads, and stopped on 2 and gone on with on 4", arguments: rows)
    func sameBits(architecture: Architecture, precision: Precision) throws {
        guard precision == .fp32 || Compute.hasFastBFloat16 else { return }
        let options = Self.shape(architecture) + [("muon-precision", precision.rawValue)]
        let reporter = RecordingReporter()
        try train(configuration("whole", options), ranks: 1, reporter: reporter)
        #expect(reporter.lines.contains { $0.hasPrefix("optimizer: muon for ") && !$0.contains(" shared") })
        let whole = try record("whole")
        func expectSame(_ run: String) throws {
            let found = try record(run)
            for name in ["model.safetensors", "optimizer.safetensors"] {
                #expect(found.hashes[name] == whole.hashes[name], "\(name) of \(run)")
            }
            for name in ["train_loss", "grad_norm", "muon_lr"] {
                #expect(found.texts(name) == whole.texts(name), "\(name) of \(run)")
            }
        }
        for ranks in [2, 4] {
            let reporter = RecordingReporter()
            try train(configuration("on \(ranks)", options), ranks: ranks, reporter: reporter)
            #expect(
                reporter.lines.contains { $0.hasPrefix("optimizer: muon for ") && $0.contains(" shared by the ranks") })
            try expectSame("on \(ranks)")
        }
        try train(configuration("threads", options + [("threads", "2")]), ranks: 1)
        try expectSame("threads")
        var cut = try configuration("cut", options)
        cut.stopAfter = 3
        #expect(try train(cut, ranks: 2) == .stopped)
        // The checkpoint knows the rest, the optimizer included.
        #expect(try train(configuration("cut", muon: false), ranks: 4) == .finished)
        try expectSame("cut")
    }

    @Test func theCheckpointHasWhatEachRemembers() throws {
        var configuration = try configuration("run", Self.shape(.llama))
        configuration.stopAfter = 1
        try train(configuration, ranks: 1)
        let path = FilePath(directory.file("run")).appending("checkpoints").appending(CheckpointName.directory(step: 1))
        let checkpoint = try Checkpoint(verifying: path)
        let layout = ParameterLayout(try configuration.newShape(vocabularySize: 64))
        let linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        var expected: Set<String> = []
        for parameter in layout.parameters {
            let isMatrix = linear.contains { parameter.name.contains(".\($0).") }
            #expect((parameter.layer != nil) == isMatrix, "\(parameter.name)")
            if isMatrix {
                expected.insert("momentum_buffer.\(parameter.name)")
            } else {
                expected.formUnion(["exp_avg.\(parameter.name)", "exp_avg_sq.\(parameter.name)"])
            }
        }
        #expect(Set(checkpoint.optimizer.tensors.map(\.name)) == expected)
        let kept = checkpoint.state.configuration
        #expect(kept["optimizer"] == "muon" && kept["muon-momentum"] == "0.95" && kept["muon-weight-decay"] == "0.01")
        #expect(kept["muon-precision"] == (Compute.hasFastBFloat16 ? "bf16" : "fp32"))
        #expect(checkpoint.state.scheduler.schedule.muonBase == 0.02)
    }

    @Test("another optimizer at a resume is refused with a word", arguments: [true, false])
    func anotherOptimizer(muonFirst: Bool) throws {
        var first = try configuration("run", Self.shape(.gpt2), muon: muonFirst)
        first.stopAfter = 1
        try train(first, ranks: 1)
        let (saved, own) = muonFirst ? ("muon", "adamw") : ("adamw", "muon")
        let other = try configuration("run", [("optimizer", own)], muon: false)
        let error = try #require(throws: AgreedError.self) { try train(other, ranks: 2) }
        #expect(error.exitCode == .usage)
        #expect(error.description.contains("--optimizer is \(own), the checkpoint has \(saved)"), "\(error)")
    }

    @Test func anotherRateNeedsARewarm() throws {
        var first = try configuration("run", Self.shape(.gpt2))
        first.stopAfter = 3
        try train(first, ranks: 1)
        var other = try configuration("run", [("muon-learning-rate", "0.01")], muon: false)
        let error = try #require(throws: AgreedError.self) { try train(other, ranks: 1) }
        #expect(error.description.contains("--muon-learning-rate: saved 0.02, asked for 0.01"), "\(error)")
        other.rewarm = 2
        try train(other, ranks: 1)
        let rates = try record("run").numbers("muon_lr")
        // A line has the rate of the next update: the saved curve's, and after the first one on the way the new curve's.
        #expect((rates[2] - 0.01 * (1 + Double(0.5).squareRoot())).magnitude < 1e-15)
        #expect((rates[3] - 0.01 * 0.5).magnitude < 1e-15)
    }

    @Test func theRateIsInTheMetricsOfMuonAlone() throws {
        try train(configuration("muon", Self.shape(.gpt2) + [("muon-learning-rate", "0.03")]), ranks: 1)
        let rates = try record("muon").numbers("lr")
        let muon = try record("muon").numbers("muon_lr")
        for (rate, muon) in zip(rates, muon) { #expect((muon - rate / Curve.base * 0.03).magnitude < 1e-15) }
        let reporter = RecordingReporter()
        let options = Self.shape(.gpt2) + [("muon-learning-rate", "0.03"), ("muon-momentum", "0.5")]
        try train(configuration("adamw", options, muon: false), ranks: 1, reporter: reporter)
        #expect(try record("adamw").texts("muon_lr").allSatisfy { $0 == nil })
        #expect(
            reporter.lines.contains("--muon-learning-rate, --muon-momentum have no effect without --optimizer muon"))
    }

    /// The shape of the decay is the checkpoint's, another one is refused, and another schedule has none.
    @Test func theShapeOfTheDecayIsTheCheckpoints() throws {
        let decay = [("schedule", "wsd"), ("decay-share", "0.5"), ("decay-shape", "linear")]
        try train(configuration("whole", Self.shape(.gpt2) + decay), ranks: 1)
        let whole = try record("whole")
        for (name, peak) in [("lr", Curve.base), ("muon_lr", 0.02)] {
            // A line has the rate of the next update: two of warm-up, one stable, and down from step 3 to 6.
            for (rate, part) in try zip(whole.numbers(name), [1, 1, 1, 2.0 / 3, 1.0 / 3, 0]) {
                #expect((rate - peak * part).magnitude < 1e-15, "\(name)")
            }
        }
        var first = try configuration("run", Self.shape(.gpt2) + decay)
        first.stopAfter = 4
        try train(first, ranks: 1)
        let root = try configuration("run", [("decay-shape", "sqrt")], muon: false)
        let error = try #require(throws: AgreedError.self) { try train(root, ranks: 1) }
        #expect(error.exitCode == .usage)
        #expect(error.description.contains("(--decay-shape: saved linear, asked for sqrt)"), "\(error)")
        var other = try configuration("run", [("schedule", "cosine")], muon: false)
        (other.rewarm, other.stopAfter) = (1, 4)
        #expect(try train(other, ranks: 1) == .stopped)
        try train(configuration("run", muon: false), ranks: 2)
        for name in ["lr", "muon_lr", "train_loss"] { #expect(try record("run").texts(name) == whole.texts(name)) }
    }

    /// Each option of Muon changes the run.
    @Test(arguments: [
        ("muon-learning-rate", "0.03"), ("muon-momentum", "0.9"), ("muon-weight-decay", "0.5"), ("beta1", "0.8"),
    ])
    func everyOptionCounts(name: String, value: String) throws {
        try train(configuration("standard", Self.shape(.gpt2)), ranks: 1)
        try train(configuration("other", Self.shape(.gpt2) + [(name, value)]), ranks: 1)
        let hashes = try ["standard", "other"].map { try record($0).hashes["model.safetensors"] }
        #expect(hashes[0] != hashes[1])
    }
}
