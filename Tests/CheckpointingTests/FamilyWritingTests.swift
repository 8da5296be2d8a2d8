import Basics
import Checkpointing
import Testing
import Transformer

/// What is written for each family, and what a new model of it is.
@Suite struct FamilyWritingTests {
    typealias Change = @Sendable (inout DecoderConfiguration) -> Void

    private static let scalings: [RotaryPositions.Scaling] = [
        .none, .linear(factor: 2.5), .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 2),
    ]
    private static let forAll: [Change] = [
        { _ in }, { $0.activation = .relu }, { $0.innerSize = 5 }, { $0.normEpsilon = 1e-3 },
        { $0.hasTiedHead.toggle() },
    ]
    private static let turned: [Change] =
        scalings.map { scaling in
            { $0.positions = .rotary(RotaryPositions(theta: 500, rotatedSize: $0.headSize, scaling: scaling)) }
        }
    private static let heads: [Change] = [
        { $0.keyValueHeadCount = 1 },
        { ($0.headSize, $0.positions) = (6, .rotary(RotaryPositions(theta: 10_000, rotatedSize: 6))) },
    ]
    private static let biases: Change = { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (true, true) }
    private static let changes: [Architecture: [Change]] = [
        .gpt2: [{ $0.scalesAttention = false }, { $0.scalesAttentionByLayer = true }],
        .llama: turned + heads + [biases, { $0.hasMLPBias = true }],
        .mistral: turned + heads, .qwen2: turned + heads, .qwen3: turned + heads + [biases],
        .gptNeoX: turned + [
            { $0.hasParallelResidual = false },
            { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (false, false) },
        ],
        .modern: turned + heads + [{ $0.logitSoftCap = 30 }],
    ]

    /// Every field comes back, and each alone makes another text.
    @Test(arguments: Architecture.allCases) func comesBack(architecture: Architecture) throws {
        var texts: Set<[UInt8]> = []
        for change in try Self.forAll + #require(Self.changes[architecture]) {
            var description = ModelDescription(shape: try .small(architecture), beginTokenID: 3, endTokenID: 4)
            change(&description.shape)
            let text = description.configurationJSON()
            #expect(texts.insert(text).inserted)
            #expect(try ModelDescription(configurationJSON: text, file: "x") == description)
            try description.requireExpressible()
        }
    }

    /// Any part of a head that is turned, of any size.
    @Test func partsOfHeads() throws {
        for headSize in stride(from: 2, through: 160, by: 2) {
            var description = ModelDescription(
                shape: try .newModel(
                    .gptNeoX, vocabularySize: 7, contextLength: 3, embeddingSize: headSize, layerCount: 1, headCount: 1)
            )
            for turned in stride(from: 2, through: headSize, by: 2) {
                description.shape.positions = .rotary(RotaryPositions(theta: 10_000, rotatedSize: turned))
                let text = description.configurationJSON()
                #expect(try ModelDescription(configurationJSON: text, file: "x") == description)
            }
        }
    }

    /// What a family's file cannot say.
    @Test func notExpressible() throws {
        let cases: [(Architecture, Change, String)] = [
            (.llama, { $0.logitSoftCap = 30 }, "cannot say soft-cap 30.0"),
            (.llama, { $0.hasProjectionBias = true }, "cannot say biases of attention's output alone"),
            (.mistral, Self.biases, "cannot say biases of queries, keys and values and of attention's output alone"),
            (.gpt2, { $0.keyValueHeadCount = 1 }, "cannot say key/value heads 1"),
            (.gpt2, { $0.norm = .rms }, "cannot say RMSNorm"),
            (.gptNeoX, { $0.headSize = 6 }, "cannot say head size 6"),
            (.modern, { $0.isGated = true }, "cannot say gated"),
            (.qwen3, { $0.innerSize = 0 }, "inner size is 0"),
        ]
        for (architecture, change, reason) in cases {
            var description = ModelDescription(shape: try .small(architecture))
            change(&description.shape)
            let error = try thrown { try description.requireExpressible() }
            #expect(error.exitCode == .usage && error.description.contains(reason), "\(error)")
            #expect(error.description.contains(architecture.rawValue))
        }
    }

    @Test func newModels() throws {
        func rotary(_ theta: Double, _ size: Int) -> Positions { .rotary(.init(theta: theta, rotatedSize: size)) }
        func sizes(_ architecture: Architecture, inner: Int) -> DecoderConfiguration {
            DecoderConfiguration(
                unchecked: architecture, vocabularySize: 7, contextLength: 3, embeddingSize: 16, layerCount: 2,
                headCount: 2, innerSize: inner)
        }
        func gated(_ architecture: Architecture, theta: Double, epsilon: Double) -> DecoderConfiguration {
            // 8/3 of 16 is 43, rounded up to 64.
            var shape = sizes(architecture, inner: 64)
            (shape.norm, shape.normEpsilon, shape.activation, shape.isGated) = (.rms, epsilon, .silu, true)
            (shape.positions, shape.initialization) = (rotary(theta, 8), .plain)
            (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (false, false, false)
            return shape
        }
        #expect(try .small(.gpt2) == sizes(.gpt2, inner: 64))
        #expect(try .small(.llama) == gated(.llama, theta: 10_000, epsilon: 1e-5))
        #expect(try .small(.mistral) == gated(.mistral, theta: 10_000, epsilon: 1e-5))
        var qwen2 = gated(.qwen2, theta: 1_000_000, epsilon: 1e-6)
        qwen2.hasQueryKeyValueBias = true
        #expect(try .small(.qwen2) == qwen2)
        var qwen3 = gated(.qwen3, theta: 1_000_000, epsilon: 1e-6)
        qwen3.normalizesHeads = true
        #expect(try .small(.qwen3) == qwen3)
        var neox = sizes(.gptNeoX, inner: 64)
        (neox.activation, neox.interleavesHeads, neox.hasParallelResidual) = (.gelu, true, true)
        (neox.hasTiedHead, neox.positions, neox.initialization) = (false, rotary(10_000, 2), .plain)
        #expect(try .small(.gptNeoX) == neox)
        var modern = sizes(.modern, inner: 64)
        (modern.norm, modern.normEpsilon) = (.plainRMS, 0x1p-23)
        (modern.normalizesEmbedding, modern.normalizesHeads, modern.activation) = (true, true, .reluSquared)
        (modern.hasQueryKeyValueBias, modern.hasProjectionBias, modern.hasMLPBias) = (false, false, false)
        (modern.positions, modern.initialization) = (rotary(10_000, 8), .zeroProjections)
        #expect(try .small(.modern) == modern)
        for architecture in Architecture.allCases {
            try DecoderConfiguration.small(architecture).validate()
            let own = try DecoderConfiguration.small(architecture, keyValueHeads: 1, headSize: 12)
            #expect(own.keyValueHeadCount == 1 && own.headSize == 12)
            #expect(own.positions.rotary.map { $0.rotatedSize } ?? 12 == (architecture == .gptNeoX ? 2 : 12))
            #expect(
                try thrown {
                    try DecoderConfiguration.newModel(
                        architecture, vocabularySize: 7, contextLength: 3, embeddingSize: 16, layerCount: 2,
                        headCount: 3)
                }.exitCode == .usage)
        }
    }

    @Test(arguments: [(16, 64), (48, 128), (72, 192), (96, 256), (768, 2048), (4096, 10944)])
    func innerSizes(width: Int, inner: Int) throws {
        for architecture in [Architecture.llama, .mistral, .qwen2, .qwen3] {
            let shape = try DecoderConfiguration.newModel(
                architecture, vocabularySize: 7, contextLength: 3, embeddingSize: width, layerCount: 1, headCount: 1)
            #expect(shape.innerSize == inner)
        }
    }

    @Test("Sizes beyond all limits make no trap", arguments: Architecture.allCases)
    func hostileSizes(architecture: Architecture) throws {
        for size in [Int.min, -1, 0, Int.max] {
            let shape = try DecoderConfiguration.newModel(
                architecture, vocabularySize: size, contextLength: size, embeddingSize: size, layerCount: size,
                headCount: size)
            #expect(try thrown { try shape.validate() }.exitCode == .usage)
        }
    }

    /// What this program does not read again, but others do.
    @Test func forOthers() throws {
        func json(_ architecture: Architecture, _ change: Change = { _ in }) throws -> JSON {
            var description = ModelDescription(shape: try .small(architecture))
            change(&description.shape)
            let json = try JSON(description.configurationJSON())
            let names = (json.members ?? []).map { String(decoding: $0.name, as: UTF8.self) }
            #expect(names == names.sorted())
            return json
        }
        let classes: [Architecture: String] = [
            .gpt2: "GPT2LMHeadModel", .llama: "LlamaForCausalLM", .mistral: "MistralForCausalLM",
            .qwen2: "Qwen2ForCausalLM", .qwen3: "Qwen3ForCausalLM", .gptNeoX: "GPTNeoXForCausalLM",
            .modern: "SwiftletModernForCausalLM",
        ]
        for architecture in Architecture.allCases {
            let json = try json(architecture)
            #expect(json["architectures"]?.elements?.map(\.string) == [classes[architecture]])
            #expect(json["torch_dtype"]?.string == "float32" && json["dtype"]?.string == "float32")
        }
        let llama = try json(.llama, Self.turned[2])
        #expect(llama["rope_theta"]?.number == 500)
        for (name, theta) in [("rope_scaling", nil), ("rope_parameters", 500)] as [(String, Double?)] {
            let settings = try #require(llama[name])
            #expect(settings["rope_type"]?.string == "llama3" && settings["rope_theta"]?.number == theta)
            #expect(settings["factor"]?.number == 8 && settings["low_freq_factor"]?.number == 1)
            #expect(settings["high_freq_factor"]?.number == 4)
            #expect(settings["original_max_position_embeddings"]?.int == 2)
        }
        #expect(llama["num_key_value_heads"]?.int == 2 && llama["head_dim"]?.int == 8)
        #expect(try json(.llama)["rope_scaling"]?.kind == .null)
        #expect(try json(.llama)["rope_parameters"]?["rope_type"]?.string == "default")
        #expect(try json(.mistral)["sliding_window"]?.kind == .null)
        #expect(try json(.qwen2)["use_sliding_window"]?.bool == false)
        let neox = try json(.gptNeoX)
        #expect(neox["rotary_pct"]?.number == 0.25 && neox["rotary_emb_base"]?.number == 10_000)
        #expect(neox["rope_parameters"]?["partial_rotary_factor"]?.number == 0.25)
    }

    /// Byte for byte what was always written.
    @Test func gpt2() throws {
        let text = """
            {
              "activation_function": "gelu_new",
              "architectures": [
                "GPT2LMHeadModel"
              ],
              "attn_pdrop": 0.0,
              "bos_token_id": null,
              "dtype": "float32",
              "embd_pdrop": 0.0,
              "eos_token_id": 6,
              "initializer_range": 0.02,
              "layer_norm_epsilon": 1e-05,
              "model_type": "gpt2",
              "n_ctx": 3,
              "n_embd": 16,
              "n_head": 2,
              "n_inner": null,
              "n_layer": 2,
              "n_positions": 3,
              "resid_pdrop": 0.0,
              "scale_attn_by_inverse_layer_idx": false,
              "scale_attn_weights": true,
              "tie_word_embeddings": true,
              "torch_dtype": "float32",
              "transformers_version": "5.23.0",
              "use_cache": true,
              "vocab_size": 7
            }

            """
        let description = ModelDescription(shape: try .small(.gpt2), endTokenID: 6)
        #expect(String(decoding: description.configurationJSON(), as: UTF8.self) == text)
    }
}
