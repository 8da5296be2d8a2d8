import Basics
import Kernels
import Transformer

/// A GPT-2 model as `config.json` of a Hugging Face model directory tells it.
package struct GPT2ModelDescription: Equatable, Sendable {
    package var shape: GPTConfiguration
    package var beginTokenID: Int?
    package var endTokenID: Int?

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
            ("activation_function", .string(shape.activation.rawValue)),
            ("architectures", .array(["GPT2LMHeadModel"])),
            ("attn_pdrop", .number(0.0)),
            ("bos_token_id", id(beginTokenID)),
            ("dtype", "float32"),
            ("embd_pdrop", .number(0.0)),
            ("eos_token_id", id(endTokenID)),
            ("initializer_range", .number(0.02)),
            ("layer_norm_epsilon", .number(shape.normEpsilon)),
            ("model_type", "gpt2"),
            ("n_ctx", .number(shape.contextLength)),
            ("n_embd", .number(shape.embeddingSize)),
            ("n_head", .number(shape.headCount)),
            ("n_inner", shape.innerSize == 4 * shape.embeddingSize ? nil : .number(shape.innerSize)),
            ("n_layer", .number(shape.layerCount)),
            ("n_positions", .number(shape.contextLength)),
            ("resid_pdrop", .number(0.0)),
            ("scale_attn_by_inverse_layer_idx", .bool(shape.scalesAttentionByLayer)),
            ("scale_attn_weights", .bool(shape.scalesAttention)),
            ("tie_word_embeddings", .bool(shape.hasTiedHead)),
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
        self = try naming(file) { try GPT2ModelDescription(JSON(bytes, sizeLimit: Self.sizeLimit)) }
    }

    /// The largest file that is read.
    static let sizeLimit = 16 << 20

    private init(_ json: JSON) throws {
        // Only what is not there at all has GPT-2's own value.
        func setting<Value>(
            _ name: String, _ standard: Value, _ expected: String, _ read: (JSON) -> Value?
        ) throws -> Value {
            json[name] == nil ? standard : try json.member(name, expected, read)
        }
        func flag(_ name: String, _ standard: Bool) throws -> Bool {
            try setting(name, standard, "true or false", \.bool)
        }
        let expected = "\"gpt2\"; only GPT-2 and its variants can be read"
        _ = try json.member("model_type", expected) { $0.isString("gpt2") ? true : nil }
        _ = try setting("add_cross_attention", false, "false: an encoder's output cannot be read") {
            $0.bool == false ? false : nil
        }
        let activations = Activation.allCases.map(\.rawValue).joined(separator: ", ")
        shape = try GPTConfiguration(
            vocabularySize: json.int("vocab_size"), contextLength: json.int("n_positions"),
            embeddingSize: json.int("n_embd"), layerCount: json.int("n_layer"), headCount: json.int("n_head"),
            innerSize: json.optional("n_inner", "null or a whole number") { $0.int },
            activation: setting("activation_function", .geluNew, activations) { $0.string.flatMap(Activation.init) },
            normEpsilon: setting("layer_norm_epsilon", 1e-5, "a number", \.number),
            hasTiedHead: flag("tie_word_embeddings", true), scalesAttention: flag("scale_attn_weights", true),
            scalesAttentionByLayer: flag("scale_attn_by_inverse_layer_idx", false))
        // Absent or null, GPT-2's own 50256 would be meant, which a small vocabulary does not have.
        beginTokenID = json["bos_token_id"]?.int
        endTokenID = json["eos_token_id"]?.int
    }
}
