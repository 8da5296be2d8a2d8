/// How often each pre-token of a text occurs: what a tokenizer is trained on.
public struct WordCounts: Sendable {
    private(set) var words = WordTable()
    private(set) var counts: [Int] = []
    private let splitter = PreTokenizer()

    /// No words.
    public init() {}

    /// How many different words there are.
    public var distinctCount: Int { counts.count }
    /// How many words there are in all.
    public var totalCount: Int { counts.reduce(0, +) }

    /// Adds the pre-tokens of one sequence: pre-tokens never cross from one call to the next.
    public mutating func add(_ text: Span<UInt8>) {
        var start = 0
        while start < text.count {
            let end = splitter.end(from: start, in: text)
            count(words.intern(text, start..<end), 1)
            start = end
        }
    }

    /// Adds the pre-tokens of one sequence.
    public mutating func add(_ text: String) { add(Array(text.utf8).span) }

    /// Adds another text's counts.
    public mutating func merge(_ other: WordCounts) {
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
