/// Encodes text with a tokenizer and remembers words that it has seen; one for each thread.
public struct TokenEncoder: Sendable {
    private let tokenizer: Tokenizer
    private let alwaysMatched: AddedTokenMatcher
    private let allMatched: AddedTokenMatcher

    private var words = WordTable()
    private var wordIDs: [Int32] = []
    private var wordEnds: [Int] = []
    private var merger = WordMerger()

    /// Longer words are rare: they are encoded each time. The cache starts afresh when it is full.
    private static let longestCachedWord = 128
    private static let cacheLimit = 1 << 18

    /// An encoder with an empty memory.
    public init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        alwaysMatched = AddedTokenMatcher(tokenizer.addedTokens.filter { !$0.isSpecial })
        allMatched = AddedTokenMatcher(tokenizer.addedTokens)
    }

    /// Whether text may be cut at `PreTokenizer.lastSafeCut`: not when added tokens could stand across the cut.
    var canCutText: Bool { alwaysMatched.isEmpty }

    /// Appends the ids of `text` to `ids`; see `Tokenizer.encode`.
    public mutating func encode(_ text: Span<UInt8>, allowSpecial: Bool = false, into ids: inout [Int32]) {
        let matcher = allowSpecial ? allMatched : alwaysMatched
        var start = 0
        while !matcher.isEmpty, let match = matcher.first(in: text, from: start) {
            encodePlain(text, start..<match.range.lowerBound, into: &ids)
            ids.append(match.id)
            start = match.range.upperBound
        }
        encodePlain(text, start..<text.count, into: &ids)
    }

    private mutating func encodePlain(_ text: Span<UInt8>, _ range: Range<Int>, into ids: inout [Int32]) {
        let text = text.extracting(range)
        var start = 0
        while start < text.count {
            let end = tokenizer.splitter.end(from: start, in: text)
            encodeWord(text, start..<end, into: &ids)
            start = end
        }
    }

    @inline(__always)
    private mutating func encodeWord(_ text: Span<UInt8>, _ range: Range<Int>, into ids: inout [Int32]) {
        if range.count == 1 {
            ids.append(tokenizer.byteIDs[Int(text[range.lowerBound])])
            return
        }
        guard range.count <= Self.longestCachedWord else {
            merger.merge(text, range, tokenizer, into: &ids)
            return
        }
        if words.count >= Self.cacheLimit { forget() }
        let (word, isNew) = words.intern(text, range)
        if isNew {
            merger.merge(text, range, tokenizer, into: &wordIDs)
            wordEnds.append(wordIDs.count)
        }
        for index in (word == 0 ? 0 : wordEnds[word - 1])..<wordEnds[word] { ids.append(wordIDs[index]) }
    }

    private mutating func forget() {
        words = WordTable()
        wordIDs.removeAll(keepingCapacity: true)
        wordEnds.removeAll(keepingCapacity: true)
    }
}

/// Finds added tokens in text: the leftmost, and of several at one place the longest.
struct AddedTokenMatcher: Sendable {
    private let tokens: [Tokenizer.AddedToken]
    private var firstBytes = [Bool](repeating: false, count: 256)

    init(_ tokens: [Tokenizer.AddedToken]) {
        self.tokens = tokens.sorted { $0.content.count > $1.content.count }
        for token in tokens { firstBytes[Int(token.content[0])] = true }
    }

    var isEmpty: Bool { tokens.isEmpty }

    func first(in text: Span<UInt8>, from start: Int) -> (range: Range<Int>, id: Int32)? {
        for index in start..<text.count where firstBytes[Int(text[index])] {
            for token in tokens where matches(token.content, text, index) {
                return (index..<index + token.content.count, token.id)
            }
        }
        return nil
    }

    private func matches(_ content: [UInt8], _ text: Span<UInt8>, _ index: Int) -> Bool {
        guard index + content.count <= text.count else { return false }
        for offset in content.indices where text[index + offset] != content[offset] { return false }
        return true
    }
}
