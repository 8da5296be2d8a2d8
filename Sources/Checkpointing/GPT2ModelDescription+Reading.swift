extension GPT2ModelDescription {
    /// Reads `config.json` of a Hugging Face directory; throws `.invalid` naming `file`, the member, what it holds
    /// and what was expected. A model that would be computed in another way than ours is refused, not approximated.
    public init(configurationJSON bytes: [UInt8], file: String) throws(CheckpointError) {
        let object: JSONObject
        do {
            guard let parsed = try JSONValue.parse(bytes).object else {
                throw JSONError(reason: "the file does not hold a JSON object")
            }
            object = parsed
        } catch {
            throw CheckpointError(.invalid, "\(file): \(error)")
        }
        let reader = MemberReader(object: object, file: file)
        try reader.require("model_type", .string("gpt2"))
        try reader.requireIfPresent("activation_function", .string(Self.activation))
        try reader.requireIfPresent("tie_word_embeddings", .bool(true))
        try reader.requireIfPresent("scale_attn_weights", .bool(true))
        try reader.requireIfPresent("scale_attn_by_inverse_layer_idx", .bool(false))
        try reader.requireIfPresent("add_cross_attention", .bool(false))
        if let epsilon = object["layer_norm_epsilon"], epsilon.number != Self.normEpsilon {
            throw reader.error("layer_norm_epsilon", "\(Self.normEpsilon)")
        }
        vocabularySize = try reader.count("vocab_size", 1...(1 << 24))
        contextLength = try reader.count("n_positions", 1...(1 << 24))
        embeddingSize = try reader.count("n_embd", 1...(1 << 20))
        layerCount = try reader.count("n_layer", 1...10_000)
        headCount = try reader.count("n_head", 1...(1 << 20))
        guard embeddingSize % headCount == 0 else {
            throw CheckpointError(.invalid, "\(file): n_embd \(embeddingSize) is not divisible by n_head \(headCount)")
        }
        if let inner = object["n_inner"], inner != .null, inner.int != 4 * embeddingSize {
            throw reader.error("n_inner", "null or 4 · n_embd")
        }
        // Absent or null, GPT-2's own 50256 would be meant, which a small vocabulary does not have.
        beginTokenID = object["bos_token_id"]?.int
        endTokenID = object["eos_token_id"]?.int
        switch (object["dtype"] ?? object["torch_dtype"])?.string {
        case "bfloat16": dataType = .bf16
        case "float16": dataType = .f16
        default: dataType = .f32
        }
    }

    /// Reads members and words their errors.
    private struct MemberReader {
        let object: JSONObject
        let file: String

        func error(_ name: String, _ expected: String) -> CheckpointError {
            let found = object[name].map { String(decoding: $0.bytes().prefix(80), as: UTF8.self) } ?? "missing"
            return CheckpointError(
                .invalid, "\(file): \(name) is \(found), expected \(expected); only GPT-2 of that kind can be read")
        }

        func require(_ name: String, _ value: JSONValue) throws(CheckpointError) {
            if object[name] != value { throw error(name, String(decoding: value.bytes(), as: UTF8.self)) }
        }

        func requireIfPresent(_ name: String, _ value: JSONValue) throws(CheckpointError) {
            if object[name] != nil { try require(name, value) }
        }

        func count(_ name: String, _ range: ClosedRange<Int>) throws(CheckpointError) -> Int {
            guard let value = object[name]?.int, range.contains(value) else {
                throw error(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
    }
}
