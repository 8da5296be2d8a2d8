import Transformer

/// What Hugging Face calls a family's tensors, written down again and not taken from the layout.
struct ReferenceNames {
    /// Linear layers with one input: what their output is called, and each one's name.
    struct Group {
        let label: String
        let parts: [String]

        init(_ label: String, _ parts: [String]? = nil) { (self.label, self.parts) = (label, parts ?? [label]) }
    }

    var base = "model."
    var tokenEmbedding = "embed_tokens"
    var positionEmbedding = ""
    var block = "layers."
    var norm1 = "input_layernorm"
    var norm2 = "post_attention_layernorm"
    var finalNorm = "norm"
    /// What the heads' outputs are called.
    var attention = "self_attn"
    var queryKeyValue = Group(
        "self_attn.q_proj+k_proj+v_proj", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"])
    /// Of queries and of keys.
    var headNorms = ["self_attn.q_norm", "self_attn.k_norm"]
    var attentionProjection = "self_attn.o_proj"
    var up = Group("mlp.up_proj")
    var gateAndUp = Group("mlp.gate_proj+up_proj", ["mlp.gate_proj", "mlp.up_proj"])
    var down = "mlp.down_proj"
    var head = "lm_head"
    /// Whether weights are stored [in, out].
    var isInputMajor = false

    init(_ architecture: Architecture) {
        switch architecture {
        case .llama, .mistral, .qwen2, .qwen3, .modern: break
        case .gpt2:
            (base, tokenEmbedding, positionEmbedding, block) = ("transformer.", "wte", "wpe", "h.")
            (norm1, norm2, finalNorm, attention) = ("ln_1", "ln_2", "ln_f", "attn")
            (queryKeyValue, attentionProjection) = (Group("attn.c_attn"), "attn.c_proj")
            (up, down, isInputMajor) = (Group("mlp.c_fc"), "mlp.c_proj", true)
        case .gptNeoX:
            (base, tokenEmbedding, finalNorm) = ("gpt_neox.", "embed_in", "final_layer_norm")
            (queryKeyValue, attentionProjection) = (Group("attention.query_key_value"), "attention.dense")
            (up, down) = (Group("mlp.dense_h_to_4h"), "mlp.dense_4h_to_h")
            (attention, head) = ("attention", "embed_out")
        }
    }
}
