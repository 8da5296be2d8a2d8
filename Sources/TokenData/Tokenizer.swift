import Basics

/// A byte-level BPE tokenizer: GPT-2's pre-tokenization, merges by rank, any bytes in and the same bytes out.
///
/// Its files are Hugging Face's (`tokenizer.json`, or `vocab.json` with `merges.txt`), and its ids are the ones that
/// Hugging Face `tokenizers` gives. A value: copies share their tables, and any thread may use them.
package struct Tokenizer: Sendable {
    /// A token that is matched as a whole in the text instead of being built from merges.
    package struct AddedToken: Sendable, Equatable {
        /// Its id.
        package let id: Int32
        /// Its text, as UTF-8.
        package let content: [UInt8]
        /// Whether it is a control token, such as `<|endoftext|>`. Says nothing about how it is matched.
        package let isSpecial: Bool
        /// Whether it is looked for only between the tokens that are not.
        package let isNormalized: Bool
    }

    /// The text of the token that stands before each document.
    package static let endOfText = "<|endoftext|>"
    /// The largest id that is accepted, far above any vocabulary in use.
    static let maximumID = 1 << 24

    /// One more than the largest id: the number of rows of a model's embedding table.
    package let vocabularySize: Int
    /// The added tokens, in the order of their ids.
    package let addedTokens: [AddedToken]
    /// The id of `<|endoftext|>`, or nil where the vocabulary lacks it.
    package let endOfTextID: Int32?

    /// Merges in the order of their rank, as pairs of ids.
    package let merges: [(left: Int32, right: Int32)]
    /// Pair of ids → rank << 32 | merged id.
    let mergeTable: PairTable
    /// The id of each single byte.
    let byteIDs: [Int32]
    /// The file's form of each id's token, or nil for ids that only `addedTokens` has (and for gaps).
    package let printableForms: [[UInt8]?]
    /// The raw bytes of all tokens, one after the other, and where each id's end.
    private var tokenBytes: [UInt8] = []
    private var tokenEnds: [Int] = []
    let splitter: PreTokenizer

    /// A tokenizer from a file's parts, which are checked against each other.
    init(_ parts: TokenizerParts) throws(ExitError) {
        splitter = PreTokenizer()
        let size = try parts.vocabularySize()
        let vocabulary = try parts.namedTokens(vocabularySize: size)
        try parts.checkAddedTokens(vocabulary)
        vocabularySize = size
        printableForms = vocabulary.forms
        byteIDs = try parts.byteIDs(vocabulary)
        (merges, mergeTable) = try parts.mergedPairs(vocabulary)
        addedTokens = parts.added.sorted { $0.id < $1.id }

        let mark = Array(Self.endOfText.utf8)
        endOfTextID = addedTokens.first { $0.content == mark }?.id ?? vocabulary.id(of: mark)

        tokenEnds.reserveCapacity(size)
        let addedContents = Dictionary(uniqueKeysWithValues: addedTokens.map { (Int($0.id), $0.content) })
        for (id, form) in vocabulary.forms.enumerated() {
            tokenBytes += addedContents[id] ?? form.map { ByteAlphabet.raw($0) ?? $0 } ?? []
            tokenEnds.append(tokenBytes.count)
        }
    }

    /// The raw bytes of a token; empty for an id that the vocabulary lacks.
    package func bytes(of id: Int32) -> ArraySlice<UInt8> {
        guard id >= 0, Int(id) < vocabularySize else { return [] }
        return tokenBytes[(id == 0 ? 0 : tokenEnds[Int(id) - 1])..<tokenEnds[Int(id)]]
    }

    /// The token ids of a text: any bytes; those that are not valid UTF-8 are kept and split like symbols. The text of
    /// an added token, `<|endoftext|>` for one, becomes that token.
    package func encode(_ text: [UInt8]) -> [Int32] {
        var encoder = TokenEncoder(self)
        var ids: [Int32] = []
        encoder.encode(text.span, into: &ids)
        return ids
    }
}
