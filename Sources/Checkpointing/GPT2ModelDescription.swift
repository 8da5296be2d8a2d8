/// The shape of a GPT-2 model, as `config.json` of a Hugging Face model directory tells it.
public struct GPT2ModelDescription: Equatable, Sendable {
    public var vocabularySize: Int
    /// Positions that the model has: the longest input.
    public var contextLength: Int
    public var embeddingSize: Int
    public var layerCount: Int
    public var headCount: Int
    public var beginTokenID: Int?
    public var endTokenID: Int?
    /// The element type of the weights in the file.
    public var dataType: TensorDataType

    /// The epsilon of every norm; the only one that the model computes with.
    public static let normEpsilon = 1e-5
    /// Hugging Face's name of GELU by tanh, the only activation that the model computes.
    public static let activation = "gelu_new"

    public init(
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
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// Every tensor of the model, named as `save_pretrained` names it, in forward order.
    public var tensors: [ExpectedTensor] {
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
    public func configurationJSON() -> [UInt8] {
        func id(_ token: Int?) -> JSONValue { token.map { .integer(Int64($0)) } ?? .null }
        let type = JSONValue.string(dataType == .bf16 ? "bfloat16" : dataType == .f16 ? "float16" : "float32")
        var object = JSONObject()
        for (name, value) in [
            ("activation_function", .string(Self.activation)),
            ("architectures", .array([.string("GPT2LMHeadModel")])),
            ("attn_pdrop", .double(0)),
            ("bos_token_id", id(beginTokenID)),
            ("dtype", type),
            ("embd_pdrop", .double(0)),
            ("eos_token_id", id(endTokenID)),
            ("initializer_range", .double(0.02)),
            ("layer_norm_epsilon", .double(Self.normEpsilon)),
            ("model_type", .string("gpt2")),
            ("n_ctx", .integer(Int64(contextLength))),
            ("n_embd", .integer(Int64(embeddingSize))),
            ("n_head", .integer(Int64(headCount))),
            ("n_inner", .null),
            ("n_layer", .integer(Int64(layerCount))),
            ("n_positions", .integer(Int64(contextLength))),
            ("resid_pdrop", .double(0)),
            ("scale_attn_weights", .bool(true)),
            ("tie_word_embeddings", .bool(true)),
            ("torch_dtype", type),
            ("transformers_version", .string("5.23.0")),
            ("use_cache", .bool(true)),
            ("vocab_size", .integer(Int64(vocabularySize))),
        ] as [(String, JSONValue)] { object.append(name, value) }
        return JSONValue.object(object).bytes(pretty: true)
    }

    /// The bytes of `generation_config.json`.
    public func generationConfigurationJSON() -> [UInt8] {
        var object = JSONObject()
        if let beginTokenID { object.append("bos_token_id", .integer(Int64(beginTokenID))) }
        if let endTokenID { object.append("eos_token_id", .integer(Int64(endTokenID))) }
        object.append("transformers_version", .string("5.23.0"))
        return JSONValue.object(object).bytes(pretty: true)
    }

    /// The bytes of `tokenizer_config.json` for a directory that has a `tokenizer.json`.
    ///
    /// - Parameter endOfText: the text of the special token, where the tokenizer has one.
    public func tokenizerConfigurationJSON(endOfText: String?) -> [UInt8] {
        var object = JSONObject()
        object.append("add_prefix_space", .bool(false))
        if let endOfText {
            for name in ["bos_token", "eos_token", "unk_token"] { object.append(name, .string(endOfText)) }
        }
        object.append("model_max_length", .integer(Int64(contextLength)))
        object.append("tokenizer_class", .string("GPT2TokenizerFast"))
        return JSONValue.object(object).bytes(pretty: true)
    }
}
