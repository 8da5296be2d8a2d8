import Checkpointing
import TokenData

/// A tokenizer as GGUF's keys tell it. Source: `convert_hf_to_gguf.py` of llama.cpp.
enum GGUFVocabulary {
    /// llama.cpp's numbers for what a token is.
    private enum Kind: Int32 {
        case normal = 1
        /// Never printed, such as `<|endoftext|>`.
        case control = 3
        /// Added, but plain text.
        case userDefined = 4
        /// An id of the model that the tokenizer does not have.
        case unused = 5
    }

    /// The keys of a tokenizer, nil for a model without one. Ids that the model alone has get names of their own.
    /// - Precondition: the tokenizer has no more tokens than the model.
    static func keys(_ tokenizer: Tokenizer?, _ model: ModelDescription) -> [GGUFFile.Key] {
        guard let tokenizer else { return [("tokenizer.ggml.model", .text("none"))] }
        let size = model.shape.vocabularySize
        var tokens = (0..<size).map { Array("[PAD\($0)]".utf8) }
        var kinds = [Kind](repeating: .unused, count: size)
        for (id, form) in tokenizer.printableForms.enumerated() {
            if let form { (tokens[id], kinds[id]) = (form, .normal) }
        }
        for token in tokenizer.addedTokens {
            tokens[Int(token.id)] = token.content
            kinds[Int(token.id)] = token.isSpecial ? .control : .userDefined
        }
        let merges = tokenizer.merges.map { tokens[Int($0.left)] + [0x20] + tokens[Int($0.right)] }
        let end = tokenizer.endOfTextID.map(Int.init)
        let marks = [
            ("tokenizer.ggml.bos_token_id", model.beginTokenID ?? end),
            ("tokenizer.ggml.eos_token_id", model.endTokenID ?? end),
        ]
        return [
            ("tokenizer.ggml.model", .text("gpt2")),
            // The one way of splitting a text that `Tokenizer` knows.
            ("tokenizer.ggml.pre", .text("gpt-2")),
            ("tokenizer.ggml.tokens", .strings(tokens)),
            ("tokenizer.ggml.token_type", .int32s(kinds.map(\.rawValue))),
            ("tokenizer.ggml.merges", .strings(merges)),
        ]
            + marks.compactMap { name, id in id.flatMap { (0..<size).contains($0) ? (name, .uint32($0)) : nil } }
            + [("tokenizer.ggml.add_bos_token", .bool(false))]
    }
}
