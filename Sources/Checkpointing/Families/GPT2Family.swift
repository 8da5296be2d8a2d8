import Basics
import Transformer

/// GPT-2 (Radford et al. 2019) and its variants.
struct GPT2Family: ModelFamily {
    let modelType = "gpt2"
    let className = "GPT2LMHeadModel"
    /// The causal mask.
    let bufferSuffixes = [".attn.bias", ".attn.masked_bias"]

    func read(_ members: ModelMembers) throws -> DecoderConfiguration {
        let json = members.json
        try members.require("add_cross_attention", "false: an encoder's output cannot be read") { $0.bool == false }
        var shape = try DecoderConfiguration.newModel(
            .gpt2, vocabularySize: json.int("vocab_size"), contextLength: json.int("n_positions"),
            embeddingSize: json.int("n_embd"), layerCount: json.int("n_layer"), headCount: json.int("n_head"),
            innerSize: json.optional("n_inner", "null or a whole number") { $0.int })
        shape.activation = try members.activation("activation_function", .geluNew)
        shape.normEpsilon = try members.number("layer_norm_epsilon", 1e-5)
        shape.hasTiedHead = try members.flag("tie_word_embeddings", true)
        shape.scalesAttention = try members.flag("scale_attn_weights", true)
        shape.scalesAttentionByLayer = try members.flag("scale_attn_by_inverse_layer_idx", false)
        return shape
    }

    func members(of shape: DecoderConfiguration) -> [(String, JSONText)] {
        [
            ("activation_function", .string(shape.activation.rawValue)),
            ("attn_pdrop", .number(0.0)),
            ("embd_pdrop", .number(0.0)),
            ("initializer_range", .number(0.02)),
            ("layer_norm_epsilon", .number(shape.normEpsilon)),
            ("n_ctx", .number(shape.contextLength)),
            ("n_embd", .number(shape.embeddingSize)),
            ("n_head", .number(shape.headCount)),
            ("n_inner", shape.innerSize == 4 * shape.embeddingSize ? nil : .number(shape.innerSize)),
            ("n_layer", .number(shape.layerCount)),
            ("n_positions", .number(shape.contextLength)),
            ("resid_pdrop", .number(0.0)),
            ("scale_attn_by_inverse_layer_idx", .bool(shape.scalesAttentionByLayer)),
            ("scale_attn_weights", .bool(shape.scalesAttention)),
        ]
    }

    /// A shape is GPT-2's unless something else is said.
    func setDefaults(of shape: inout DecoderConfiguration) {}
}
