import Basics
import Kernels
import Transformer

/// Qwen 2 and 2.5 (Yang et al. 2024), Llama with biases on queries, keys and values, and Qwen 3 (Yang et al. 2025), with
/// norms on the heads of queries and keys instead.
struct QwenFamily: ModelFamily {
    let isThird: Bool

    private var architecture: Architecture { isThird ? .qwen3 : .qwen2 }
    var modelType: String { isThird ? "qwen3" : "qwen2" }
    var className: String { isThird ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM" }
    let bufferSuffixes = ["rotary_emb.inv_freq"]

    func read(_ members: ModelMembers) throws -> DecoderConfiguration {
        // With it, `sliding_window` and `max_window_layers` would count.
        try members.require("use_sliding_window", "false: windows of attention are not computed") { $0.bool == false }
        // What `transformers` takes where a file does not say: 32 and, for Qwen 3, heads of 128.
        var shape = try members.shape(
            architecture, keyValueHeadCount: members.keyValueHeadCount(32),
            headSize: isThird
                ? members.setting("head_dim", 128, "a whole number", \.int)
                : members.json.optional("head_dim", "null or a whole number") { $0.int })
        shape.activation = try members.activation("hidden_act", .silu)
        shape.normEpsilon = try members.number("rms_norm_eps", 1e-6)
        if isThird {
            shape.hasQueryKeyValueBias = try members.flag("attention_bias", false)
            shape.hasProjectionBias = shape.hasQueryKeyValueBias
        }
        shape.positions = .rotary(try members.rotary(shape, theta: members.number("rope_theta", 10_000)))
        return shape
    }

    func members(of shape: DecoderConfiguration) -> [(String, JSONText)] {
        let own: [(String, JSONText)] = isThird ? [("attention_bias", .bool(shape.hasQueryKeyValueBias))] : []
        let window: [(String, JSONText)] = [("sliding_window", nil), ("use_sliding_window", false)]
        return own + window + shape.commonMembers + shape.headMembers + shape.gatedMembers
    }

    func innerSize(embeddingSize: Int) -> Int? { LlamaFamily.innerSize(embeddingSize: embeddingSize) }

    func setDefaults(of shape: inout DecoderConfiguration) {
        LlamaFamily.setDefaults(of: &shape, theta: 1_000_000, epsilon: 1e-6)
        shape.hasQueryKeyValueBias = !isThird
        shape.normalizesHeads = isThird
    }
}
