import Basics
import Kernels
import Transformer

/// Llama 1 to 3 (Touvron et al. 2023) and Mistral (Jiang et al. 2023), which differ in what their files can say.
struct LlamaFamily: ModelFamily {
    let isMistral: Bool

    private var architecture: Architecture { isMistral ? .mistral : .llama }
    var modelType: String { isMistral ? "mistral" : "llama" }
    var className: String { isMistral ? "MistralForCausalLM" : "LlamaForCausalLM" }
    let bufferSuffixes = ["rotary_emb.inv_freq"]

    func read(_ members: ModelMembers) throws -> DecoderConfiguration {
        // What `transformers` takes where a file does not say: 8 for Mistral, and a window of 4096.
        var shape = try members.shape(
            architecture, keyValueHeadCount: members.keyValueHeadCount(isMistral ? 8 : nil),
            headSize: members.json.optional("head_dim", "null or a whole number") { $0.int })
        try members.requireNoWindow(shape.contextLength, isMistral ? 4096 : nil)
        shape.activation = try members.activation("hidden_act", .silu)
        shape.normEpsilon = try members.number("rms_norm_eps", 1e-6)
        if !isMistral {
            shape.hasQueryKeyValueBias = try members.flag("attention_bias", false)
            shape.hasProjectionBias = shape.hasQueryKeyValueBias
            shape.hasMLPBias = try members.flag("mlp_bias", false)
        }
        shape.positions = .rotary(try members.rotary(shape, theta: members.number("rope_theta", 10_000)))
        return shape
    }

    func members(of shape: DecoderConfiguration) -> [(String, JSONText)] {
        let own: [(String, JSONText)] =
            isMistral
            ? [("sliding_window", nil)]
            : [("attention_bias", .bool(shape.hasQueryKeyValueBias)), ("mlp_bias", .bool(shape.hasMLPBias))]
        return own + shape.commonMembers + shape.headMembers + shape.gatedMembers
    }

    func innerSize(embeddingSize: Int) -> Int? { Self.innerSize(embeddingSize: embeddingSize) }

    func setDefaults(of shape: inout DecoderConfiguration) {
        Self.setDefaults(of: &shape, theta: 10_000, epsilon: 1e-5)
    }

    /// 8/3 of the width, so that the three matrices of a gated MLP have as many weights as the two of GPT-2's, rounded up
    /// to a multiple of 64; nil for a width that is refused anyway.
    static func innerSize(embeddingSize: Int) -> Int? {
        guard DecoderConfiguration.embeddingSizes.contains(embeddingSize) else { return nil }
        return (8 * embeddingSize + 191) / 192 * 64
    }

    /// What Llama, Mistral and Qwen have in common: RMSNorm, rotary positions, a gated MLP, no biases.
    static func setDefaults(of shape: inout DecoderConfiguration, theta: Double, epsilon: Double) {
        (shape.norm, shape.normEpsilon) = (.rms, epsilon)
        shape.positions = .rotary(RotaryPositions(theta: theta, rotatedSize: shape.headSize))
        (shape.activation, shape.isGated) = (.silu, true)
        (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (false, false, false)
        shape.initialization = .plain
    }
}

extension DecoderConfiguration {
    /// Members that Llama, Mistral and Qwen have in common beside the sizes.
    var gatedMembers: [(String, JSONText)] {
        let rotary = positions.rotary.map { [("rope_theta", JSONText.number($0.theta))] + $0.members() } ?? []
        return rotary + [
            ("attention_dropout", .number(0.0)), ("initializer_range", .number(0.02)),
            ("rms_norm_eps", .number(normEpsilon)),
        ]
    }
}
