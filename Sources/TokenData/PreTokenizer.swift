/// GPT-2's split of text into pre-tokens, on raw bytes and without a regular-expression engine.
///
/// The pattern is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` with the letters,
/// numbers and blanks of Unicode 16. Bytes that are not valid UTF-8 count as "neither letter, number nor blank".
package struct PreTokenizer: Sendable {
    private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.utf8) }
    private let table: [UInt8]

    package init() { table = ScalarClass.table }

    @inline(__always)
    private func classify(_ text: Span<UInt8>, at index: Int) -> (kind: UInt8, length: Int) {
        let (point, length) = UTF8Scalar.decode(text, at: index)
        return (Int(point) < table.count ? table[Int(point)] : ScalarClass.other, length)
    }

    /// The end of the pre-token that starts at `start`, a position inside `text`.
    package func end(from start: Int, in text: Span<UInt8>) -> Int {
        let count = text.count
        let first = text[start]
        if first == UInt8(ascii: "'") {
            for ending in Self.contractions where text.holds(ending, at: start) { return start + ending.count }
        }

        var run = start
        var (kind, length) = classify(text, at: start)
        if first == UInt8(ascii: " "), start + 1 < count {
            let next = classify(text, at: start + 1)
            if next.kind != ScalarClass.blank {
                run = start + 1
                (kind, length) = next
            }
        }
        var lastStart = run
        run += length
        while run < count {
            let next = classify(text, at: run)
            guard next.kind == kind else { break }
            lastStart = run
            run += next.length
        }
        // A run of blanks before other text leaves its last blank to that text.
        if kind == ScalarClass.blank, run < count, lastStart > start { return lastStart }
        return run
    }

    /// The last position in `text`, above 0 and at most `limit`, where it can be cut without changing any pre-token,
    /// or nil where there is none.
    ///
    /// Such a place is the first blank after something that is not blank: every pre-token before it ends there, and
    /// no rule looks further ahead than one scalar of its own run.
    package func lastSafeCut(in text: Span<UInt8>, atMost limit: Int) -> Int? {
        var index = min(limit, text.count - 1)
        while index > 0 {
            let byte = text[index]
            if byte == 0x20 || (0x09...0x0D).contains(byte), !endsWithBlank(text, index) { return index }
            index -= 1
        }
        return nil
    }

    /// Whether the scalar that ends just before `end` is blank; broken bytes are not.
    private func endsWithBlank(_ text: Span<UInt8>, _ end: Int) -> Bool {
        for start in stride(from: end - 1, through: max(0, end - 3), by: -1) where text[start] & 0xC0 != 0x80 {
            let (kind, length) = classify(text, at: start)
            return kind == ScalarClass.blank && start + length == end
        }
        return false
    }
}
