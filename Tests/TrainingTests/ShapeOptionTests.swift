import Basics
import Checkpointing
import Kernels
import Testing
import Training
import Transformer

/// The shape that options of `train` make: a family's defaults, and what is said otherwise.
@Suite struct ShapeOptionTests {
    /// A configuration with these options; the sizes are 2 layers, 4 heads, 48 wide, context 16 unless said.
    private func configuration(
        _ architecture: Architecture, _ options: [(name: String, value: String)] = []
    ) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        let sizes = [("layers", "2"), ("heads", "4"), ("embedding-size", "48"), ("context-length", "16")]
        let own = [("architecture", architecture.rawValue)] + options
        for (name, value) in sizes.filter({ size in !own.contains { $0.0 == size.0 } }) + own {
            try configuration.set(name, value)
        }
        return configuration
    }

    /// The same as `newShape` makes of it.
    private func shape(
        _ architecture: Architecture, _ options: [(name: String, value: String)] = []
    ) throws -> DecoderConfiguration {
        try configuration(architecture, options).newShape(vocabularySize: 64)
    }

    // MARK: Defaults

    /// What a family is for these sizes, written down by hand.
    private func expected(_ architecture: Architecture) -> DecoderConfiguration {
        var shape = DecoderConfiguration(
            unchecked: architecture, vocabularySize: 64, contextLength: 16, embeddingSize: 48, layerCount: 2,
            headCount: 4, keyValueHeadCount: 4, headSize: 12, innerSize: 192)
        (shape.norm, shape.normEpsilon, shape.normalizesEmbedding) = (.layerNorm, 1e-5, false)
        (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (true, true, true)
        (shape.normalizesHeads, shape.interleavesHeads, shape.hasParallelResidual) = (false, false, false)
        (shape.activation, shape.isGated, shape.hasTiedHead, shape.logitSoftCap) = (.geluNew, false, true, nil)
        (shape.positions, shape.initialization) = (.learned, .gpt2)
        let isWhole = { RotaryPositions(theta: $0, rotatedSize: 12) }
        switch architecture {
        case .gpt2: break
        case .llama, .mistral, .qwen2, .qwen3:
            let isQwen = architecture == .qwen2 || architecture == .qwen3
            // 8/3 of 48, up to a multiple of 64.
            (shape.innerSize, shape.activation, shape.isGated) = (128, .silu, true)
            (shape.norm, shape.normEpsilon) = (.rms, isQwen ? 1e-6 : 1e-5)
            (shape.positions, shape.initialization) = (.rotary(isWhole(isQwen ? 1e6 : 1e4)), .plain)
            (shape.hasProjectionBias, shape.hasMLPBias) = (false, false)
            (shape.hasQueryKeyValueBias, shape.normalizesHeads) = (architecture == .qwen2, architecture == .qwen3)
        case .gptNeoX:
            (shape.activation, shape.hasTiedHead, shape.initialization) = (.gelu, false, .plain)
            // A quarter of 12 is no even number.
            shape.positions = .rotary(RotaryPositions(theta: 1e4, rotatedSize: 2))
            (shape.interleavesHeads, shape.hasParallelResidual) = (true, true)
        case .modern:
            (shape.norm, shape.normEpsilon, shape.normalizesEmbedding) = (.plainRMS, 0x1p-23, true)
            (shape.positions, shape.initialization) = (.rotary(isWhole(1e4)), .zeroProjections)
            (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (false, false, false)
            (shape.activation, shape.normalizesHeads) = (.reluSquared, true)
        }
        return shape
    }

    @Test(arguments: Architecture.allCases) func aFamilysDefaults(architecture: Architecture) throws {
        #expect(try shape(architecture) == expected(architecture))
    }

    @Test(arguments: [(384, 1024), (768, 2048), (512, 1408), (64, 192), (63, 192), (4096, 10944)])
    func theWidthOfAGatedMLP(width: Int, inner: Int) throws {
        for architecture in [Architecture.llama, .mistral, .qwen2, .qwen3] {
            let shape = try shape(architecture, [("embedding-size", "\(width)"), ("head-size", "8")])
            #expect(shape.innerSize == inner)
        }
    }

    // MARK: Options

    @Test(arguments: Architecture.allCases) func optionsWin(architecture: Architecture) throws {
        var expected = expected(architecture)
        (expected.innerSize, expected.activation, expected.normEpsilon) = (40, .relu, 0.25)
        expected.hasTiedHead = false
        var options = [
            ("inner-size", "40"), ("activation", "relu"), ("norm-epsilon", "0.25"), ("untied-head", "true"),
        ]
        if var rotary = expected.positions.rotary {
            (rotary.theta, options) = (77, options + [("rope-theta", "77")])
            // The whole head, whatever its size.
            if architecture != .gptNeoX { rotary.rotatedSize = 6 }
            expected.positions = .rotary(rotary)
        }
        if architecture != .gpt2 && architecture != .gptNeoX {
            (expected.keyValueHeadCount, expected.headSize) = (2, 6)
            options += [("kv-heads", "2"), ("head-size", "6")]
        }
        if architecture == .modern {
            expected.logitSoftCap = 15
            options.append(("soft-cap", "15"))
        }
        #expect(try shape(architecture, options) == expected)
    }

    /// What a family has anyway may be said.
    @Test(arguments: [Architecture.gpt2, .gptNeoX]) func equalHeadsMayBeSaid(architecture: Architecture) throws {
        let options = [("kv-heads", "4"), ("head-size", "12")]
        #expect(try shape(architecture, options) == expected(architecture))
        #expect(try !shape(.gptNeoX, [("untied-head", "false")]).hasTiedHead)
    }

    /// Heads that do not fill the width need a size of their own.
    @Test func headsOfAnySizeWhereItIsGiven() throws {
        let shape = try shape(.llama, [("heads", "5"), ("head-size", "16")])
        #expect(shape.headCount == 5 && shape.keyValueHeadCount == 5 && shape.headSize == 16)
        #expect(shape.positions.rotary?.rotatedSize == 16)
    }

    @Test(
        "64 that names the option and the architecture",
        arguments: [
            (.gpt2, "kv-heads", "2", "as many key/value heads as heads"),
            (.gpt2, "head-size", "16", "heads that fill the width"),
            (.gpt2, "rope-theta", "10000", "learned positions"), (.gpt2, "soft-cap", "15", "logits as they are"),
            (.gptNeoX, "kv-heads", "1", "as many key/value heads as heads"),
            (.gptNeoX, "head-size", "8", "heads that fill the width"), (.gptNeoX, "soft-cap", "15", "logits"),
            (.llama, "soft-cap", "15", "logits as they are"), (.mistral, "soft-cap", "15", "logits as they are"),
            (.qwen2, "soft-cap", "15", "logits as they are"), (.qwen3, "soft-cap", "15", "logits as they are"),
        ] as [(Architecture, String, String, String)])
    func notForTheArchitecture(architecture: Architecture, name: String, value: String, reason: String) throws {
        let error = try #require(throws: ExitError.self) { try shape(architecture, [(name, value)]) }
        #expect(error.exitCode == .usage)
        let start = "--\(name) is not for --architecture \(architecture.rawValue), which has \(reason)"
        #expect(error.description.hasPrefix(start), "\(error)")
    }

    @Test(
        "64 that says what does not go together",
        arguments: [
            (.llama, ["heads": "5"], "embedding size 48 is not a multiple of 5 heads"),
            (.gpt2, ["heads": "5"], "embedding size 48 is not a multiple of 5 heads"),
            (.gptNeoX, ["heads": "5"], "embedding size 48 is not a multiple of 5 heads"),
            (.llama, ["kv-heads": "3"], "4 heads cannot share 3 key/value heads evenly"),
            (.modern, ["kv-heads": "8"], "4 heads cannot share 8 key/value heads evenly"),
            (.llama, ["head-size": "7"], "rotary positions turn 7 columns of a head of 7, expected an even number"),
            (.modern, ["heads": "16"], "rotary positions turn 3 columns of a head of 3, expected an even number"),
            (.qwen3, ["head-size": "1"], "rotary positions turn 1 columns of a head of 1"),
            (.gptNeoX, ["heads": "48"], "rotary positions turn 2 columns of a head of 1"),
        ] as [(Architecture, [String: String], String)])
    func notTogether(architecture: Architecture, options: [String: String], message: String) throws {
        let error = try #require(throws: ExitError.self) {
            try shape(architecture, options.map { ($0.key, $0.value) })
        }
        #expect(error.exitCode == .usage && error.description.contains(message), "\(error)")
    }

    // MARK: A shape that is there already

    /// A run of a step with a Llama of 4 heads of 8 and 2 of keys and values.
    private func trained(_ directory: TemporaryDirectory) throws {
        var configuration = try runConfiguration(directory)
        for (name, value) in FamilyRunTests.options(.llama) { try configuration.set(name, value) }
        configuration.stopAfter = 1
        #expect(try train(configuration, ranks: 1) == .stopped)
    }

    private func runConfiguration(
        _ directory: TemporaryDirectory, _ run: String = "run"
    ) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.initFrom = nil
        (configuration.steps, configuration.warmupSteps) = (2, 0)
        return configuration
    }

    static let contradictions = [
        ("architecture", "qwen2", "llama"), ("heads", "2", "4"), ("kv-heads", "4", "2"), ("head-size", "16", "8"),
        ("inner-size", "24", "128"), ("activation", "relu", "silu"), ("norm-epsilon", "0.001", "1e-05"),
        ("rope-theta", "500.0", "10000.0"), ("untied-head", "true", "false"), ("context-length", "32", "16"),
        ("vocab-size", "65", "64"), ("layers", "3", "2"), ("embedding-size", "64", "32"),
    ]

    @Test("a resume with another shape is refused, with both values", arguments: contradictions)
    func atAResume(name: String, value: String, saved: String) throws {
        let directory = try TemporaryDirectory()
        try trained(directory)
        var rest = try runConfiguration(directory)
        try rest.set(name, value)
        let error = try #require(throws: AgreedError.self) { try train(rest, ranks: 2) }
        #expect(error.exitCode == .usage, "\(error)")
        #expect(error.description.contains("--\(name) is \(value), the checkpoint has \(saved)"), "\(error)")
    }

    @Test("so is another shape than that of --init-from", arguments: contradictions)
    func ofAModelDirectory(name: String, value: String, saved: String) throws {
        let directory = try TemporaryDirectory()
        try trained(directory)
        var next = try runConfiguration(directory, "next")
        next.initFrom = FilePath(directory.file("run"))
        try next.set(name, value)
        let error = try #require(throws: AgreedError.self) { try train(next, ranks: 1) }
        #expect(error.exitCode == .usage, "\(error)")
        #expect(error.description.contains("--\(name) \(value) contradicts \(saved) in "), "\(error)")
    }

    /// The checkpoint has no value of it.
    @Test func aSoftCapAtAResumeWithoutOne() throws {
        let directory = try TemporaryDirectory()
        try trained(directory)
        var rest = try runConfiguration(directory)
        try rest.set("soft-cap", "15")
        let error = try #require(throws: AgreedError.self) { try train(rest, ranks: 1) }
        #expect(error.exitCode == .usage && error.description.contains("--soft-cap 15.0 contradicts none"), "\(error)")
    }

    /// What is said again as it is, is no contradiction.
    @Test func theSameShapeMayBeSaidAgain() throws {
        let directory = try TemporaryDirectory()
        try trained(directory)
        var rest = try runConfiguration(directory)
        for (name, _, saved) in Self.contradictions { try rest.set(name, saved) }
        #expect(try train(rest, ranks: 1) == .finished)
    }
}
