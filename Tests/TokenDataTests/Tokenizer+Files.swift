import TokenData

// Forms of a tokenizer and its text that only tests need.
extension Tokenizer {
    /// GPT-2's `merges.txt`.
    func mergesText() -> [UInt8] {
        func form(_ id: Int32) -> String { String(decoding: printableForms[Int(id)] ?? [], as: UTF8.self) }
        let lines = merges.map { "\(form($0.left)) \(form($0.right))\n" }
        return Array(("#version: 0.2\n" + lines.joined()).utf8)
    }

    /// GPT-2's `vocab.json`: compact, in the order of ids.
    func vocabularyFile() -> [UInt8] { Array(vocabularyJSON.text.utf8) }

    /// The token ids of a text.
    func encode(_ text: String) -> [Int32] { encode(Array(text.utf8)) }

    /// The bytes that tokens stand for, one after the other.
    func decode(_ ids: some Sequence<Int32>) -> [UInt8] { ids.flatMap(bytes(of:)) }

    /// The text that tokens stand for, with U+FFFD for bytes that are not valid UTF-8.
    func decodeString(_ ids: some Sequence<Int32>) -> String { String(decoding: decode(ids), as: UTF8.self) }
}

extension WordCounts {
    /// Adds the pre-tokens of one sequence.
    mutating func add(_ text: String) { add(Array(text.utf8).span) }
}

extension PreTokenizer {
    /// The pre-tokens of `text` as ranges, in order; together they cover it.
    func split(_ text: [UInt8]) -> [Range<Int>] {
        let span = text.span
        var ranges: [Range<Int>] = []
        var start = 0
        while start < text.count {
            let end = end(from: start, in: span)
            ranges.append(start..<end)
            start = end
        }
        return ranges
    }
}
