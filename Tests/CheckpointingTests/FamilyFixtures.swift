import Basics
import Checkpointing
import Transformer

/// Members of a `config.json` and the text of each value.
typealias FamilyMembers = [String: String]

extension FamilyMembers {
    /// - Parameter changes: values in place of these; an empty one takes the member out.
    func text(_ changes: FamilyMembers = [:]) -> [UInt8] {
        let members = merging(changes) { $1 }.filter { !$0.value.isEmpty }.map { "\"\($0.key)\": \($0.value)" }
        return Array("{\(members.sorted().joined(separator: ", "))}".utf8)
    }

    /// The shape that the members with these changes tell.
    func shape(_ changes: FamilyMembers = [:]) throws -> DecoderConfiguration {
        try ModelDescription(configurationJSON: text(changes), file: "config.json").shape
    }
}

/// Members as `transformers` 4 and 5 write them, with small sizes.
enum FamilySample {
    private static let sizes: FamilyMembers = [
        "vocab_size": "32", "hidden_size": "16", "intermediate_size": "24", "num_hidden_layers": "1",
        "num_attention_heads": "2", "max_position_embeddings": "48", "initializer_range": "0.02", "use_cache": "true",
        "attention_dropout": "0.1", "bos_token_id": "1", "eos_token_id": "2", "tie_word_embeddings": "false",
    ]
    private static let old: FamilyMembers = [
        "rope_theta": "10000.0", "rope_scaling": "null", "torch_dtype": "\"bfloat16\"",
    ]
    private static let new: FamilyMembers = [
        "rope_parameters": #"{"rope_theta": 10000.0, "rope_type": "default"}"#, "dtype": "\"bfloat16\"",
        "pad_token_id": "null",
    ]

    private static func family(_ version: FamilyMembers, _ members: FamilyMembers) -> FamilyMembers {
        sizes.merging(version) { $1 }.merging(members) { $1 }
    }

    static let llama = [old, new].map {
        family(
            $0,
            [
                "model_type": "\"llama\"", "architectures": "[\"LlamaForCausalLM\"]", "attention_bias": "false",
                "mlp_bias": "false", "hidden_act": "\"silu\"", "rms_norm_eps": "1e-06", "pretraining_tp": "1",
                "num_key_value_heads": "1", "head_dim": "6",
            ])
    }
    static let mistral = [old, new].map {
        family(
            $0,
            [
                "model_type": "\"mistral\"", "hidden_act": "\"silu\"", "rms_norm_eps": "1e-05",
                "num_key_value_heads": "1", "sliding_window": "null", "head_dim": "8",
            ])
    }
    static let qwen2 = [old, new].map {
        family(
            $0,
            [
                "model_type": "\"qwen2\"", "hidden_act": "\"silu\"", "rms_norm_eps": "1e-06",
                "num_key_value_heads": "1", "sliding_window": "16", "use_sliding_window": "false",
                "max_window_layers": "0",
            ])
    }
    static let qwen3 = [old, new].map {
        family(
            $0,
            [
                "model_type": "\"qwen3\"", "hidden_act": "\"silu\"", "rms_norm_eps": "1e-06",
                "num_key_value_heads": "1", "head_dim": "6", "attention_bias": "false", "sliding_window": "null",
                "use_sliding_window": "false", "max_window_layers": "28", "layer_types": "[\"full_attention\"]",
            ])
    }
    static let gptNeoX = [
        old.merging([
            "rotary_pct": "0.25", "rotary_emb_base": "10000", "partial_rotary_factor": "0.25", "rope_theta": "10000",
        ]) { $1 },
        new.merging([
            "rope_parameters": #"{"partial_rotary_factor": 0.25, "rope_theta": 10000.0, "rope_type": "default"}"#
        ]) { $1 },
    ].map {
        family(
            $0,
            [
                "model_type": "\"gpt_neox\"", "hidden_act": "\"gelu\"", "layer_norm_eps": "1e-05",
                "attention_bias": "true", "use_parallel_residual": "true", "hidden_dropout": "0.0",
            ])
    }

    /// For what is the same in both versions, or nearly.
    static let named = [
        "llama": llama[0], "mistral": mistral[0], "qwen2": qwen2[0], "qwen3": qwen3[0], "gpt_neox": gptNeoX[0],
        "llama 5": llama[1],
    ]
}

extension DecoderConfiguration {
    /// What the fixtures say: all that no family shares with GPT-2 is set by hand, not by the code under test.
    static func expected(
        _ architecture: Architecture, keyValueHeads: Int, headSize: Int,
        _ change: (inout DecoderConfiguration) -> Void = { _ in }
    ) -> DecoderConfiguration {
        var shape = DecoderConfiguration(
            unchecked: architecture, vocabularySize: 32, contextLength: 48, embeddingSize: 16, layerCount: 1,
            headCount: 2, keyValueHeadCount: keyValueHeads, headSize: headSize, innerSize: 24)
        (shape.norm, shape.normEpsilon, shape.activation, shape.isGated) = (.rms, 1e-6, .silu, true)
        shape.positions = .rotary(RotaryPositions(theta: 10_000, rotatedSize: headSize))
        (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (false, false, false)
        (shape.hasTiedHead, shape.initialization) = (false, .plain)
        change(&shape)
        return shape
    }

    /// GPT-NeoX's, which has more of GPT-2.
    static func expectedNeoX(_ change: (inout DecoderConfiguration) -> Void = { _ in }) -> DecoderConfiguration {
        var shape = DecoderConfiguration(
            unchecked: .gptNeoX, vocabularySize: 32, contextLength: 48, embeddingSize: 16, layerCount: 1, headCount: 2,
            innerSize: 24)
        (shape.activation, shape.interleavesHeads, shape.hasParallelResidual) = (.gelu, true, true)
        shape.positions = .rotary(RotaryPositions(theta: 10_000, rotatedSize: 2))
        (shape.hasTiedHead, shape.initialization) = (false, .plain)
        change(&shape)
        return shape
    }

    /// A new model of small sizes as the family has them.
    static func small(
        _ architecture: Architecture, keyValueHeads: Int? = nil, headSize: Int? = nil
    ) throws -> DecoderConfiguration {
        try .newModel(
            architecture, vocabularySize: 7, contextLength: 3, embeddingSize: 16, layerCount: 2, headCount: 2,
            keyValueHeadCount: keyValueHeads, headSize: headSize)
    }
}
