/// What a family calls its tensors, and how its linear layers lie in memory.
package struct TensorNames: Equatable, Sendable {
    /// What stands before all names but the head's, and may be left out in files.
    package let base: String
    let tokenEmbedding: String
    var positionEmbedding = ""
    /// What stands before a block's number.
    let block: String
    let norm1, norm2, finalNorm: String
    /// One tensor for queries, keys and values, or one for each.
    let queryKeyValue: [String]
    var headNorms: [String] = []
    let attentionProjection: String
    /// The first layer of an MLP that is not gated; of one that is, the layer that multiplies.
    let up: String
    /// The layer of a gated MLP whose output goes through the activation.
    var gate = ""
    let down: String
    package let head: String
    /// Whether weights of linear layers are [in, out] and not [out, in].
    var isInputMajor = false
}

extension Architecture {
    /// The names in the family's files.
    package var tensorNames: TensorNames {
        switch self {
        case .gpt2: .gpt2
        case .gptNeoX: .gptNeoX
        case .llama, .mistral, .qwen2, .qwen3, .modern: .llama
        }
    }
}

extension TensorNames {
    fileprivate static let gpt2 = TensorNames(
        base: "transformer.", tokenEmbedding: "wte", positionEmbedding: "wpe", block: "h.", norm1: "ln_1",
        norm2: "ln_2",
        finalNorm: "ln_f", queryKeyValue: ["attn.c_attn"], attentionProjection: "attn.c_proj", up: "mlp.c_fc",
        down: "mlp.c_proj", head: "lm_head", isInputMajor: true)

    fileprivate static let llama = TensorNames(
        base: "model.", tokenEmbedding: "embed_tokens", block: "layers.", norm1: "input_layernorm",
        norm2: "post_attention_layernorm", finalNorm: "norm",
        queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        headNorms: ["self_attn.q_norm", "self_attn.k_norm"], attentionProjection: "self_attn.o_proj", up: "mlp.up_proj",
        gate: "mlp.gate_proj", down: "mlp.down_proj", head: "lm_head")

    fileprivate static let gptNeoX = TensorNames(
        base: "gpt_neox.", tokenEmbedding: "embed_in", block: "layers.", norm1: "input_layernorm",
        norm2: "post_attention_layernorm", finalNorm: "final_layer_norm", queryKeyValue: ["attention.query_key_value"],
        attentionProjection: "attention.dense", up: "mlp.dense_h_to_4h", down: "mlp.dense_4h_to_h", head: "embed_out")
}
