/// A byte-level BPE tokenizer: GPT-2's pre-tokenization, merges by rank, any bytes in and the same bytes out.
///
/// Its files are Hugging Face's (`tokenizer.json`, or `vocab.json` with `merges.txt`), and its ids are the ones that
/// Hugging Face `tokenizers` gives. A value: copies share their tables, and any thread may use them.
public struct Tokenizer: Sendable {
    /// A token that is matched as a whole in the text instead of being built from merges.
    public struct AddedToken: Sendable, Equatable {
        /// Its id.
        public let id: Int32
        /// Its text, as UTF-8.
        public let content: [UInt8]
        /// Whether it is a control token, such as `<|endoftext|>`, which plain text never produces.
        public let isSpecial: Bool
    }

    /// The text of the token that stands before each document.
    public static let endOfText = "<|endoftext|>"
    /// The largest id that is accepted, far above any vocabulary in use.
    static let maximumID = 1 << 24

    /// One more than the largest id: the number of rows of a model's embedding table.
    public let vocabularySize: Int
    /// The added tokens, in the order of their ids.
    public let addedTokens: [AddedToken]
    /// The id of `<|endoftext|>`, or nil where the vocabulary lacks it.
    public let endOfTextID: Int32?

    /// Merges in the order of their rank, as pairs of ids.
    package let merges: [(left: Int32, right: Int32)]
    /// Pair of ids → rank << 32 | merged id.
    let mergeTable: PairTable
    /// The id of each single byte.
    let byteIDs: [Int32]
    /// The file's form of each id's token, or nil for ids that only `addedTokens` has (and for gaps).
    let printableForms: [[UInt8]?]
    /// The raw bytes of all tokens, one after the other, and where each id's end.
    let tokenBytes: [UInt8]
    let tokenEnds: [Int]
    let splitter: PreTokenizer

    /// A tokenizer from a file's parts.
    ///
    /// - Parameters:
    ///   - vocabulary: tokens in printable form with their ids.
    ///   - merges: pairs of printable forms in the order of their rank.
    ///   - source: the file's path, for errors.
    init(
        vocabulary: [(form: [UInt8], id: Int)], merges: [(left: [UInt8], right: [UInt8])], added: [AddedToken],
        source: String
    ) throws(TokenDataError) {
        splitter = PreTokenizer()
        func bad(_ reason: String) -> TokenDataError { TokenDataError(.badInput, "'\(source)' \(reason)") }
        func show(_ form: [UInt8]) -> String { "'\(String(decoding: form.prefix(64), as: UTF8.self))'" }

        var size = 0
        for id in vocabulary.map(\.id) + added.map({ Int($0.id) }) {
            guard (0..<Self.maximumID).contains(id) else {
                throw bad("has token id \(id); ids must be from 0 to \(Self.maximumID - 1)")
            }
            size = max(size, id + 1)
        }
        guard size <= 2 * (vocabulary.count + added.count) + 65536 else {
            throw bad("has token id \(size - 1) but only \(vocabulary.count + added.count) tokens")
        }
        vocabularySize = size

        var names = WordTable()
        var ids: [Int32] = []
        var forms = [[UInt8]?](repeating: nil, count: size)
        for (form, id) in vocabulary {
            guard !form.isEmpty else { throw bad("has an empty token with id \(id)") }
            guard names.intern(form).isNew else { throw bad("has token \(show(form)) twice") }
            guard forms[id] == nil else { throw bad("gives id \(id) to two tokens; \(show(form)) is one") }
            ids.append(Int32(id))
            forms[id] = form
        }
        printableForms = forms

        var byteIDs: [Int32] = []
        for byte in 0..<256 {
            guard let name = names.find(ByteAlphabet.printable([UInt8(byte)])) else {
                throw bad("has no token for byte \(byte); Swiftlet needs a byte-level vocabulary with all 256 bytes")
            }
            byteIDs.append(ids[name])
        }
        self.byteIDs = byteIDs

        var table = PairTable(capacity: merges.count)
        var pairs: [(Int32, Int32)] = []
        pairs.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            guard let left = names.find(merge.left), let right = names.find(merge.right),
                let whole = names.find(merge.left + merge.right)
            else {
                throw bad(
                    "has merge \(rank), \(show(merge.left)) + \(show(merge.right)), of tokens that its vocabulary lacks"
                )
            }
            let value = Int64(rank) << 32 | Int64(ids[whole])
            guard table.insert(value, forNew: PairTable.key(ids[left], ids[right])).isNew else {
                throw bad("has merge \(show(merge.left)) + \(show(merge.right)) twice")
            }
            pairs.append((ids[left], ids[right]))
        }
        self.merges = pairs
        mergeTable = table

        var addedContents: [Int32: [UInt8]] = [:]
        for token in added {
            guard !token.content.isEmpty else { throw bad("has an empty added token with id \(token.id)") }
            let name = names.find(token.content)
            let isElsewhere = name.map { ids[$0] != token.id } ?? (forms[Int(token.id)] != nil)
            guard addedContents.updateValue(token.content, forKey: token.id) == nil, !isElsewhere else {
                throw bad(
                    "has added token \(show(token.content)) with id \(token.id), which contradicts its vocabulary")
            }
        }
        addedTokens = added.sorted { $0.id < $1.id }
        endOfTextID =
            added.first { $0.content == Array(Self.endOfText.utf8) }?.id
            ?? names.find(Array(Self.endOfText.utf8)).map { ids[$0] }

        var bytes: [UInt8] = []
        var ends: [Int] = []
        ends.reserveCapacity(size)
        for id in 0..<size {
            if let content = addedContents[Int32(id)] {
                bytes += content
            } else if let form = forms[id] {
                bytes += ByteAlphabet.raw(form) ?? form
            }
            ends.append(bytes.count)
        }
        tokenBytes = bytes
        tokenEnds = ends
    }

    /// The raw bytes of a token; empty for an id that the vocabulary lacks.
    public func bytes(of id: Int32) -> ArraySlice<UInt8> {
        guard id >= 0, Int(id) < vocabularySize else { return [] }
        return tokenBytes[(id == 0 ? 0 : tokenEnds[Int(id) - 1])..<tokenEnds[Int(id)]]
    }

    /// The bytes that tokens stand for, one after the other. Ids that the vocabulary lacks stand for nothing.
    public func decode(_ ids: some Sequence<Int32>) -> [UInt8] {
        var result: [UInt8] = []
        for id in ids { result += bytes(of: id) }
        return result
    }

    /// The text that tokens stand for, with U+FFFD for bytes that are not valid UTF-8.
    public func decodeString(_ ids: some Sequence<Int32>) -> String { String(decoding: decode(ids), as: UTF8.self) }

    /// The token ids of bytes.
    ///
    /// - Parameters:
    ///   - text: any bytes; those that are not valid UTF-8 are kept and split like symbols.
    ///   - allowSpecial: whether the text of a special token becomes that token, as Hugging Face does, or stays plain
    ///     text (the default, right for data).
    public func encode(_ text: some Collection<UInt8>, allowSpecial: Bool = false) -> [Int32] {
        let bytes = Array(text)
        return encode(bytes.span, allowSpecial: allowSpecial)
    }

    /// The token ids of a text; see `encode(_:allowSpecial:)` for bytes.
    public func encode(_ text: String, allowSpecial: Bool = false) -> [Int32] {
        encode(Array(text.utf8), allowSpecial: allowSpecial)
    }

    /// The token ids of bytes; see above.
    public func encode(_ text: Span<UInt8>, allowSpecial: Bool = false) -> [Int32] {
        var encoder = TokenEncoder(self)
        var ids: [Int32] = []
        encoder.encode(text, allowSpecial: allowSpecial, into: &ids)
        return ids
    }

    /// A hash of the vocabulary and the merges as 16 hexadecimal digits: equal for tokenizers that are equal.
    public var identity: String {
        var hash = ContentHash()
        hash.update(tokenizerJSON())
        return hash.hexadecimal
    }
}
