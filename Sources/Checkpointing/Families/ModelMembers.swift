import Basics
import Kernels
import Transformer

/// The members of a `config.json`. Only one that is not there at all has a family's default; null or another type is an
/// error that names the member, what it holds and what was expected.
struct ModelMembers {
    let json: JSON

    /// What `read` makes of a member; `standard` where there is none.
    func setting<Value>(
        _ name: String, _ standard: Value, _ expected: String, _ read: (JSON) -> Value?
    ) throws -> Value {
        json[name] == nil ? standard : try json.member(name, expected, read)
    }

    func flag(_ name: String, _ standard: Bool) throws -> Bool { try setting(name, standard, "true or false", \.bool) }

    func number(_ name: String, _ standard: Double) throws -> Double {
        try setting(name, standard, "a number", \.number)
    }

    /// - Parameter standard: nil: the member has to be there.
    func activation(_ name: String, _ standard: Activation? = nil) throws -> Activation {
        if let standard, json[name] == nil { return standard }
        return try json.member(name, Activation.allCases.map(\.rawValue).joined(separator: ", ")) {
            $0.string.flatMap(Activation.init)
        }
    }

    /// Refuses a member that is there and asks for what is not computed.
    func require(_ name: String, _ expected: String, _ isComputed: (JSON) -> Bool) throws {
        if json[name] != nil { _ = try json.member(name, expected) { isComputed($0) ? true : nil } }
    }

    /// A shape of the sizes under the names that all families but GPT-2 give them, and what the family is beside.
    ///
    /// - Parameters:
    ///   - keyValueHeadCount: nil: as many as heads.
    ///   - headSize: nil: the heads share the width.
    func shape(
        _ architecture: Architecture, keyValueHeadCount: Int? = nil, headSize: Int? = nil
    ) throws -> DecoderConfiguration {
        try requirePlainLayers()
        var shape = try DecoderConfiguration.newModel(
            architecture, vocabularySize: json.int("vocab_size"), contextLength: json.int("max_position_embeddings"),
            embeddingSize: json.int("hidden_size"), layerCount: json.int("num_hidden_layers"),
            headCount: json.int("num_attention_heads"), keyValueHeadCount: keyValueHeadCount, headSize: headSize,
            innerSize: json.int("intermediate_size"))
        shape.hasTiedHead = try flag("tie_word_embeddings", false)
        return shape
    }

    /// Refuses layers that are not all alike, or not of plain numbers.
    private func requirePlainLayers() throws {
        try require("add_cross_attention", "false: an encoder's output cannot be read") { $0.bool == false }
        try require("quantization_config", "null: quantized weights cannot be read") { $0.kind == .null }
        try require("per_layer_config", "null: all layers are alike") { $0.kind == .null }
        try require("layer_types", "null or \"full_attention\" for every layer") {
            $0.kind == .null || $0.elements?.allSatisfy { $0.isString("full_attention") } ?? false
        }
    }

    /// `num_key_value_heads`; nil: as many as heads, which null says.
    ///
    /// - Parameter standard: what a file means that does not say.
    func keyValueHeadCount(_ standard: Int?) throws -> Int? {
        try json["num_key_value_heads"] == nil
            ? standard : json.optional("num_key_value_heads", "null or a whole number") { $0.int }
    }

    /// Refuses a window that keeps a position from seeing all before it.
    ///
    /// - Parameter standard: what a file means that does not say; nil: none.
    func requireNoWindow(_ contextLength: Int, _ standard: Int? = nil) throws {
        let expected = "null or a whole number from max_position_embeddings, \(contextLength), on"
        if let standard, json["sliding_window"] == nil, standard < contextLength {
            throw JSONError("sliding_window is missing, which means \(standard), expected \(expected)")
        }
        try require("sliding_window", expected) { $0.kind == .null || $0.int.map { $0 >= contextLength } ?? false }
    }
}

extension DecoderConfiguration {
    /// The activation and the sizes that `ModelMembers.shape` reads, under the names of all families but GPT-2.
    var commonMembers: [(String, JSONText)] {
        [
            ("hidden_size", .number(embeddingSize)), ("intermediate_size", .number(innerSize)),
            ("max_position_embeddings", .number(contextLength)), ("num_attention_heads", .number(headCount)),
            ("num_hidden_layers", .number(layerCount)), ("hidden_act", .string(activation.rawValue)),
        ]
    }

    /// Those for heads whose number and size a family's file can give.
    var headMembers: [(String, JSONText)] {
        [("head_dim", .number(headSize)), ("num_key_value_heads", .number(keyValueHeadCount))]
    }
}
