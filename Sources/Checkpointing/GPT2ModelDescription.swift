import Basics

/// The shape of a GPT-2 model, as `config.json` of a Hugging Face model directory tells it.
package struct GPT2ModelDescription: Equatable, Sendable {
    package var vocabularySize: Int
    /// Positions that the model has: the longest input.
    package var contextLength: Int
    package var embeddingSize: Int
    package var layerCount: Int
    package var headCount: Int
    package var beginTokenID: Int?
    package var endTokenID: Int?
    /// The element type of the weights in the file.
    package var dataType: TensorDataType

    /// The epsilon of every norm; the only one that the model computes with.
    package static let normEpsilon = 1e-5
    /// Hugging Face's name of GELU by tanh, the only activation that the model computes.
    package static let activation = "gelu_new"

    package init(
        vocabularySize: Int, contextLength: Int, embeddingSize: Int, layerCount: Int, headCount: Int,
        beginTokenID: Int? = nil, endTokenID: Int? = nil, dataType: TensorDataType = .f32
    ) {
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.embeddingSize = embeddingSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.beginTokenID = beginTokenID
        self.endTokenID = endTokenID
        self.dataType = dataType
    }

    /// All weights, tied embeddings counted once.
    package var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// Every tensor of the model, named as `save_pretrained` names it, in forward order.
    package var tensors: [ExpectedTensor] {
        let width = embeddingSize
        var result = [
            ExpectedTensor(name: "transformer.wte.weight", shape: [vocabularySize, width]),
            ExpectedTensor(name: "transformer.wpe.weight", shape: [contextLength, width]),
        ]
        func add(_ name: String, _ shapes: [(String, [Int])]) {
            for (part, shape) in shapes { result.append(ExpectedTensor(name: "\(name).\(part)", shape: shape)) }
        }
        for layer in 0..<layerCount {
            let name = "transformer.h.\(layer)"
            add(name + ".ln_1", [("weight", [width]), ("bias", [width])])
            add(name + ".attn.c_attn", [("weight", [width, 3 * width]), ("bias", [3 * width])])
            add(name + ".attn.c_proj", [("weight", [width, width]), ("bias", [width])])
            add(name + ".ln_2", [("weight", [width]), ("bias", [width])])
            add(name + ".mlp.c_fc", [("weight", [width, 4 * width]), ("bias", [4 * width])])
            add(name + ".mlp.c_proj", [("weight", [4 * width, width]), ("bias", [width])])
        }
        add("transformer.ln_f", [("weight", [width]), ("bias", [width])])
        return result
    }

    /// The bytes of `config.json`: what `transformers` 4 and 5 and llama.cpp's converter want to find.
    package func configurationJSON() -> [UInt8] {
        func id(_ token: Int?) -> JSONText { token.map { .number($0) } ?? nil }
        let type = JSONText.string(dataType == .bf16 ? "bfloat16" : dataType == .f16 ? "float16" : "float32")
        return JSONText.object([
            ("activation_function", .string(Self.activation)),
            ("architectures", .array(["GPT2LMHeadModel"])),
            ("attn_pdrop", .number(0.0)),
            ("bos_token_id", id(beginTokenID)),
            ("dtype", type),
            ("embd_pdrop", .number(0.0)),
            ("eos_token_id", id(endTokenID)),
            ("initializer_range", .number(0.02)),
            ("layer_norm_epsilon", .number(Self.normEpsilon)),
            ("model_type", "gpt2"),
            ("n_ctx", .number(contextLength)),
            ("n_embd", .number(embeddingSize)),
            ("n_head", .number(headCount)),
            ("n_inner", nil),
            ("n_layer", .number(layerCount)),
            ("n_positions", .number(contextLength)),
            ("resid_pdrop", .number(0.0)),
            ("scale_attn_weights", true),
            ("tie_word_embeddings", true),
            ("torch_dtype", type),
            ("transformers_version", "5.23.0"),
            ("use_cache", true),
            ("vocab_size", .number(vocabularySize)),
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
        members.append(("model_max_length", .number(contextLength)))
        members.append(("tokenizer_class", "GPT2TokenizerFast"))
        return JSONText.object(members).pretty + [0x0A]
    }
}
