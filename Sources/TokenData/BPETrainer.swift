import Basics

/// Learns a byte-level BPE vocabulary: the same tokens, merges and ids as Hugging Face's `BpeTrainer`.
///
/// Ids: `<|endoftext|>`, the 256 bytes by the code points of their printable forms, then one token a merge. The next
/// merge is the adjacent pair with the highest count; of equals the one with the smallest left id, then the smallest
/// right id. Training stops at the vocabulary size, or when no pair occurs `minimumFrequency` times.
package struct BPETrainer: Sendable {
    /// The number of tokens to reach, `<|endoftext|>` and bytes included.
    package let vocabularySize: Int
    /// How often a pair must occur to be merged.
    package let minimumFrequency: Int

    /// The special token. Its text trains nothing.
    static let addedTokens = [
        Tokenizer.AddedToken(id: 0, content: Array(Tokenizer.endOfText.utf8), isSpecial: true, isNormalized: false)
    ]

    /// - Throws: exit code 64 for a vocabulary that has no room for `<|endoftext|>` and 256 bytes.
    package init(vocabularySize: Int, minimumFrequency: Int = 2) throws(ExitError) {
        guard (257...Tokenizer.maximumID).contains(vocabularySize) else {
            throw ExitError(
                .usage,
                "vocabulary size \(vocabularySize) is out of range: it must be 257 (256 bytes and 1 special) to "
                    + "\(Tokenizer.maximumID); change --vocab-size")
        }
        self.vocabularySize = vocabularySize
        self.minimumFrequency = minimumFrequency
    }

    /// Trains on words.
    ///
    /// - Parameter progress: told the number of tokens so far now and then.
    package func train(_ words: WordCounts, progress: (Int) -> Void = { _ in }) throws(ExitError) -> Tokenizer {
        var names = WordTable()
        _ = names.intern(Array(Tokenizer.endOfText.utf8))
        var byteIDs = [Int32](repeating: 0, count: 256)
        for byte in ByteAlphabet.bytesByCodePoint {
            byteIDs[Int(byte)] = Int32(names.intern(ByteAlphabet.printable([byte])).index)
        }
        var merges: [(left: Int32, right: Int32)] = []
        var table = MergeCounter(words, byteIDs)
        while names.count < vocabularySize, let pair = table.popMostFrequent(), pair.count >= max(1, minimumFrequency) {
            let name = Array(names[Int(pair.left)]) + Array(names[Int(pair.right)])
            let id = Int32(names.intern(name).index)
            merges.append((pair.left, pair.right))
            table.merge(pair, into: id)
            if names.count % 64 == 0 { progress(names.count) }
        }
        // A pair that was merged twice keeps its last rank, as in a map that is filled in order.
        var seen = PairTable(capacity: merges.count)
        let kept = merges.reversed().filter { seen.insert(0, forNew: PairTable.key($0.left, $0.right)).isNew }
        return try Tokenizer(
            TokenizerParts(
                vocabulary: (0..<names.count).map { (Array(names[$0]), $0) },
                merges: kept.reversed().map { (Array(names[Int($0.left)]), Array(names[Int($0.right)])) },
                added: Self.addedTokens, source: "trained tokenizer", mergesSource: "trained tokenizer"))
    }
}
