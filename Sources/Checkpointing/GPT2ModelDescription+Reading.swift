import Basics
import Transformer

extension GPT2ModelDescription {
    /// Reads `config.json` of a Hugging Face directory; throws 65 naming `file`, the member, what it holds
    /// and what was expected. A model that would be computed in another way than ours is refused, not approximated.
    package init(configurationJSON bytes: [UInt8], file: String) throws {
        do {
            try self.init(JSON(bytes, sizeLimit: Self.sizeLimit))
        } catch {
            throw ExitError(.badInput, "\(file): \(error)")
        }
    }

    /// The largest file that is read.
    static let sizeLimit = 16 << 20

    private init(_ json: JSON) throws {
        func require(
            _ name: String, _ expected: String, isRequired: Bool = false, _ fits: (JSON) -> Bool
        ) throws {
            guard isRequired || json[name] != nil else { return }
            _ = try json.member(name, expected + "; only GPT-2 of that kind can be read") { fits($0) ? true : nil }
        }
        try require("model_type", "\"gpt2\"", isRequired: true) { $0.isString("gpt2") }
        try require("activation_function", "\"\(Self.activation)\"") { $0.isString(Self.activation) }
        for name in ["tie_word_embeddings", "scale_attn_weights"] { try require(name, "true") { $0.bool == true } }
        for name in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
            try require(name, "false") { $0.bool == false }
        }
        try require("layer_norm_epsilon", "\(Self.normEpsilon)") { $0.number == Self.normEpsilon }
        let (vocabulary, context) = (try json.int("vocab_size"), try json.int("n_positions"))
        let (width, layers, heads) = (try json.int("n_embd"), try json.int("n_layer"), try json.int("n_head"))
        shape = try GPTConfiguration(
            vocabularySize: vocabulary, contextLength: context, embeddingSize: width, layerCount: layers,
            headCount: heads)
        try require("n_inner", "null or 4 · n_embd") { $0.kind == .null || $0.int == 4 * width }
        // Absent or null, GPT-2's own 50256 would be meant, which a small vocabulary does not have.
        beginTokenID = json["bos_token_id"]?.int
        endTokenID = json["eos_token_id"]?.int
        let type = (json["dtype"] ?? json["torch_dtype"])?.string
        dataType = Self.typeNames.first { $0.value == type }?.key ?? .f32
    }
}
