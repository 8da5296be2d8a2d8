/// Encodes text with a tokenizer and remembers words that it has seen; one for each thread.
package struct TokenEncoder: Sendable {
    private let tokenizer: Tokenizer
    /// Those that are looked for in the whole text, then those that are looked for between them.
    private let matchers: [AddedTokenMatcher]

    private var words = WordTable()
    private var wordIDs: [Int32] = []
    private var wordEnds: [Int] = []
    private var merger = WordMerger()

    /// Longer words are rare: they are encoded each time. The cache starts afresh when it is full.
    private static let longestCachedWord = 128
    private static let cacheLimit = 1 << 18

    /// An encoder with an empty memory.
    package init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        let groups = [false, true].map { kind in tokenizer.addedTokens.filter { $0.isNormalized == kind } }
        matchers = groups.filter { !$0.isEmpty }.map { AddedTokenMatcher($0) }
    }

    /// Whether text may be cut at `PreTokenizer.lastSafeCut`: not when an added token could stand across the cut.
    var canCutText: Bool {
        !tokenizer.addedTokens.contains { $0.content.contains { $0 == 0x20 || (0x09...0x0D).contains($0) } }
    }

    /// Appends the ids of `text` to `ids`; see `Tokenizer.encode`.
    package mutating func encode(_ text: Span<UInt8>, into ids: inout [Int32]) {
        encode(text, matchers: matchers[...], into: &ids)
    }

    private mutating func encode(
        _ text: Span<UInt8>, matchers: ArraySlice<AddedTokenMatcher>, into ids: inout [Int32]
    ) {
        guard let matcher = matchers.first else { return encodePlain(text, into: &ids) }
        var start = 0
        while let match = matcher.first(in: text, from: start) {
            encode(text.extracting(start..<match.range.lowerBound), matchers: matchers.dropFirst(), into: &ids)
            ids.append(match.id)
            start = match.range.upperBound
        }
        encode(text.extracting(start..<text.count), matchers: matchers.dropFirst(), into: &ids)
    }

    private mutating func encodePlain(_ text: Span<UInt8>, into ids: inout [Int32]) {
        var start = 0
        while start < text.count {
            let range = start..<tokenizer.splitter.end(from: start, in: text)
            start = range.upperBound
            if range.count == 1 {
                ids.append(tokenizer.byteIDs[Int(text[range.lowerBound])])
                continue
            }
            guard range.count <= Self.longestCachedWord else {
                merger.merge(text, range, tokenizer, into: &ids)
                continue
            }
            if words.count >= Self.cacheLimit { (words, wordIDs, wordEnds) = (WordTable(), [], []) }
            let (word, isNew) = words.intern(text, range)
            if isNew {
                merger.merge(text, range, tokenizer, into: &wordIDs)
                wordEnds.append(wordIDs.count)
            }
            for index in (word == 0 ? 0 : wordEnds[word - 1])..<wordEnds[word] { ids.append(wordIDs[index]) }
        }
    }
}

/// Finds added tokens in text: the leftmost, and of several at one place the longest.
package struct AddedTokenMatcher: Sendable {
    private let tokens: [Tokenizer.AddedToken]
    private var firstBytes = [Bool](repeating: false, count: 256)

    init(_ tokens: [Tokenizer.AddedToken]) {
        self.tokens = tokens.sorted { $0.content.count > $1.content.count }
        for token in tokens { firstBytes[Int(token.content[0])] = true }
    }

    /// The first one at or after `start`.
    func first(in text: Span<UInt8>, from start: Int) -> (range: Range<Int>, id: Int32)? {
        precondition(start >= 0 && start <= text.count)
        let firstBytes = firstBytes.span
        for index in start..<text.count where firstBytes[unchecked: Int(text[unchecked: index])] {
            for token in tokens where text.holds(token.content, at: index) {
                return (index..<index + token.content.count, token.id)
            }
        }
        return nil
    }
}

extension Span<UInt8> {
    /// Whether these bytes stand at `index`.
    func holds(_ content: [UInt8], at index: Int) -> Bool {
        guard index + content.count <= count else { return false }
        for offset in content.indices where self[index + offset] != content[offset] { return false }
        return true
    }
}
