import Basics
import Checkpointing
import Collectives
import Kernels
import TestSupport
import Testing
import Training
import Transformer

/// Runs of new models of every family: what holds for GPT-2 holds for them.
@Suite struct FamilyRunTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A small model of a family, by options as the command line gives them.
    static func options(_ architecture: Architecture) -> [(name: String, value: String)] {
        let hasEqualHeads = architecture == .gpt2 || architecture == .gptNeoX
        return [
            ("architecture", architecture.rawValue), ("layers", "2"), ("heads", "4"), ("embedding-size", "32"),
            ("context-length", "16"), ("vocab-size", "64"),
        ] + (hasEqualHeads ? [] : [("kv-heads", "2")])
    }

    /// Six steps in the run directory `run`.
    private func configuration(
        _ run: String, _ precision: Precision, _ options: [(name: String, value: String)] = []
    ) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.initFrom = nil
        (configuration.steps, configuration.warmupSteps) = (6, 2)
        configuration.precision = precision
        for (name, value) in options { try configuration.set(name, value) }
        return configuration
    }

    private func record(_ run: String) throws -> RunRecord {
        try RunRecord(directory, runDirectory: directory.file(run), step: 6)
    }

    private func expectSameModel(
        _ run: String, _ expected: RunRecord, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let record = try record(run)
        for name in ["model.safetensors", "optimizer.safetensors"] {
            #expect(record.hashes[name] == expected.hashes[name], "\(name) of \(run)", sourceLocation: sourceLocation)
        }
        for name in ["train_loss", "grad_norm"] {
            #expect(record.texts(name) == expected.texts(name), "\(name) of \(run)", sourceLocation: sourceLocation)
        }
    }

    /// What a family is trained with beside its defaults.
    struct Row: CustomTestStringConvertible {
        var architecture: Architecture
        var precision: Precision
        /// Values are dropped; and where they are, all runs but the first compute their activations again.
        var drops = false

        var testDescription: String { "\(architecture) \(precision)\(drops ? " dropout recompute" : "")" }
    }

    static let rows = Architecture.allCases.flatMap { architecture in
        Precision.allCases.flatMap { precision in
            [false, true].map { Row(architecture: architecture, precision: precision, drops: $0) }
        }
    }

    @Test("on 1, 2 and 4 ranks, with 2 threads, and stopped on 2 and gone on with on 1", arguments: rows)
    func sameBits(row: Row) throws {
        let options =
            Self.options(row.architecture) + (row.drops ? [("dropout", "0.2"), ("attention-dropout", "0.3")] : [])
        try train(configuration("whole", row.precision, options), ranks: 1)
        let whole = try record("whole")
        #expect(whole.metrics.count == 6)
        let again = row.drops ? [("recompute", "true")] : []
        for ranks in [2, 4] {
            try train(configuration("on \(ranks)", row.precision, options + again), ranks: ranks)
            try expectSameModel("on \(ranks)", whole)
        }
        try train(configuration("threads", row.precision, options + again + [("threads", "2")]), ranks: 1)
        try expectSameModel("threads", whole)

        var cut = try configuration("cut", row.precision, options + again)
        cut.stopAfter = 3
        #expect(try train(cut, ranks: 2) == .stopped)
        // The checkpoint knows the rest, dropout included.
        let reporter = RecordingReporter()
        #expect(try train(configuration("cut", row.precision), ranks: 1, reporter: reporter) == .finished)
        #expect(!reporter.warnings.contains { $0.contains("dropout") }, "\(reporter.warnings)")
        try expectSameModel("cut", whole)
    }

    /// Options that a family has beside those of `options`.
    static let ownOptions: [(Architecture, [(name: String, value: String)])] =
        Architecture.allCases.map { ($0, []) } + [
            (.gpt2, [("inner-size", "40"), ("activation", "silu"), ("untied-head", "true")]),
            (.llama, [("head-size", "6"), ("rope-theta", "500"), ("untied-head", "true"), ("inner-size", "24")]),
            (.mistral, [("norm-epsilon", "0.001"), ("activation", "gelu")]),
            (.qwen2, [("rope-theta", "1e6"), ("activation", "relu")]),
            (.qwen3, [("head-size", "12"), ("kv-heads", "1")]),
            (.gptNeoX, [("rope-theta", "100"), ("activation", "gelu_fast"), ("norm-epsilon", "0.01")]),
            (.modern, [("soft-cap", "15"), ("head-size", "10"), ("untied-head", "true"), ("rope-theta", "50")]),
        ]

    /// The model that was trained, the one in the checkpoint's config.json, and the one that a resume makes of it.
    @Test(arguments: ownOptions)
    func theCheckpointTellsTheShape(
        architecture: Architecture, own: [(name: String, value: String)]
    ) throws {
        var configuration = try configuration(
            "run", .fp32,
            Self.options(architecture).filter { option in
                !own.contains { $0.name == option.name }
            } + own)
        configuration.stopAfter = 1
        let trained = try model(configuration, runs: true)
        #expect(try trained == configuration.newShape(vocabularySize: 64))
        let path = directory.file("run") + "/checkpoints/" + CheckpointName.directory(step: 1)
        let found = [
            try HuggingFaceModelFiles(path: FilePath(path)).description.shape,
            try model(self.configuration("run", .fp32), runs: false),
        ]
        for var shape in found {
            // How new weights are drawn is not part of a file.
            shape.initialization = trained.initialization
            #expect(shape == trained)
        }
    }

    /// The model of a run. It holds its directory, and ends here.
    private func model(_ configuration: TrainingConfiguration, runs: Bool) throws -> DecoderConfiguration {
        let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: SilentReporter())
        if runs { #expect(try trainer.run() == .stopped) }
        return trainer.model.configuration
    }

    @Test(
        "another --dropout at a resume is told; it and those of the places are taken from there on",
        arguments: [
            ("dropout", "0.0"), ("attention-dropout", "0.5"), ("embedding-dropout", "0.0"), ("residual-dropout", "0.1"),
        ])
    func dropoutChangesAtAResume(name: String, value: String) throws {
        let options = Self.options(.llama) + [("dropout", "0.2")]
        try train(configuration("whole", .fp32, options), ranks: 1)
        var cut = try configuration("cut", .fp32, options)
        cut.stopAfter = 3
        try train(cut, ranks: 1)
        let reporter = RecordingReporter()
        try train(configuration("cut", .fp32, [(name, value)]), ranks: 2, reporter: reporter)
        let isTold = reporter.warnings.contains("--dropout changes at this resume: 0.2 → 0.0")
        #expect(isTold == (name == "dropout"), "\(reporter.warnings)")
        let losses = try ["cut", "whole"].map { try record($0).texts("train_loss") }
        #expect(losses[0][..<3] == losses[1][..<3])
        #expect(losses[0][3] != losses[1][3])
        let saved = try Checkpoint(verifying: FilePath(record("cut").checkpoint)).state.configuration
        #expect(saved[name] == value)
    }
}
