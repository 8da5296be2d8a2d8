import Basics
import Transformer

/// A GPT-2 model as `config.json` of a Hugging Face model directory tells it.
package struct GPT2ModelDescription: Equatable, Sendable {
    package var shape: GPTConfiguration
    package var beginTokenID: Int?
    package var endTokenID: Int?

    /// The epsilon of every norm; the only one that the model computes with.
    package static let normEpsilon = 1e-5
    /// Hugging Face's name of GELU by tanh, the only activation that the model computes.
    package static let activation = "gelu_new"

    package init(shape: GPTConfiguration, beginTokenID: Int? = nil, endTokenID: Int? = nil) {
        self.shape = shape
        self.beginTokenID = beginTokenID
        self.endTokenID = endTokenID
    }

    /// Every tensor of the model, named as `save_pretrained` names it, in forward order.
    package var tensors: [ExpectedTensor] {
        ParameterLayout(shape).parameters.map { ($0.name, $0.shape) }
    }

    /// The bytes of `config.json`: what `transformers` 4 and 5 and llama.cpp's converter want to find.
    package func configurationJSON() -> [UInt8] {
        func id(_ token: Int?) -> JSONText { token.map { .number($0) } ?? nil }
        return JSONText.object([
            ("activation_function", .string(Self.activation)),
            ("architectures", .array(["GPT2LMHeadModel"])),
            ("attn_pdrop", .number(0.0)),
            ("bos_token_id", id(beginTokenID)),
            ("dtype", "float32"),
            ("embd_pdrop", .number(0.0)),
            ("eos_token_id", id(endTokenID)),
            ("initializer_range", .number(0.02)),
            ("layer_norm_epsilon", .number(Self.normEpsilon)),
            ("model_type", "gpt2"),
            ("n_ctx", .number(shape.contextLength)),
            ("n_embd", .number(shape.embeddingSize)),
            ("n_head", .number(shape.headCount)),
            ("n_inner", nil),
            ("n_layer", .number(shape.layerCount)),
            ("n_positions", .number(shape.contextLength)),
            ("resid_pdrop", .number(0.0)),
            ("scale_attn_weights", true),
            ("tie_word_embeddings", true),
            ("torch_dtype", "float32"),
            ("transformers_version", "5.23.0"),
            ("use_cache", true),
            ("vocab_size", .number(shape.vocabularySize)),
        ]).pretty + [0x0A]
    }

    /// The bytes of `generation_config.json`.
    package func generationConfigurationJSON() -> [UInt8] {
        let ids = [("bos_token_id", beginTokenID), ("eos_token_id", endTokenID)]
        let members = ids.compactMap { name, id in id.map { (name, JSONText.number($0)) } }
        return JSONText.object(members + [("transformers_version", "5.23.0")]).pretty + [0x0A]
    }

    /// The bytes of `tokenizer_config.json` for a directory that has a `tokenizer.json`.
    ///
    /// - Parameter endOfText: the text of the special token, where the tokenizer has one.
    package func tokenizerConfigurationJSON(endOfText: String?) -> [UInt8] {
        var members: [(String, JSONText)] = [("add_prefix_space", false)]
        if let endOfText {
            for name in ["bos_token", "eos_token", "unk_token"] { members.append((name, .string(endOfText))) }
        }
        members.append(("model_max_length", .number(shape.contextLength)))
        members.append(("tokenizer_class", "GPT2TokenizerFast"))
        return JSONText.object(members).pretty + [0x0A]
    }
}

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
    }
}
