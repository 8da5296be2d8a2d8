/// How often each pre-token of a text occurs: what a tokenizer is trained on.
package struct WordCounts: Sendable {
    private(set) var words = WordTable()
    /// The times of each different word.
    package private(set) var counts: [Int] = []
    private let splitter = PreTokenizer()

    /// No words.
    package init() {}

    /// Adds the pre-tokens of one sequence: pre-tokens never cross from one call to the next.
    package mutating func add(_ text: Span<UInt8>) {
        var start = 0
        while start < text.count {
            let end = splitter.end(from: start, in: text)
            count(words.intern(text, start..<end), 1)
            start = end
        }
    }

    /// Adds the pre-tokens of what stands between tokens that are matched as wholes.
    mutating func add(_ text: Span<UInt8>, between tokens: AddedTokenMatcher) {
        var start = 0
        while let match = tokens.first(in: text, from: start) {
            add(text.extracting(start..<match.range.lowerBound))
            start = match.range.upperBound
        }
        add(text.extracting(start..<text.count))
    }

    /// Adds another text's counts.
    package mutating func merge(_ other: WordCounts) {
        let storage = other.words.bytes.span
        for index in 0..<other.words.count {
            count(words.intern(storage, other.words.range(index)), other.counts[index])
        }
    }

    @inline(__always)
    private mutating func count(_ word: (index: Int, isNew: Bool), _ times: Int) {
        if word.isNew { counts.append(times) } else { counts[word.index] += times }
    }
}
