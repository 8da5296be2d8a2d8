import Basics

/// Token shards, one after the other, as one stream of sequences.
///
/// With context length T, sequence i covers the tokens i·T ... i·T + T: its inputs are the first T of them, its targets
/// the last T. Sequences cross from one shard to the next. Any sequence is read in O(1).
package struct TokenStream: Sendable {
    /// The shards, in the order of the stream.
    package let shards: [TokenShard]
    /// Tokens in all shards together.
    package let tokenCount: Int
    /// Ids at or above it are errors; nil accepts all.
    package var vocabularySize: Int?
    /// Where each shard starts in the stream.
    private let starts: [Int]

    /// Checks the headers of shards, in the order given.
    ///
    /// - Throws: exit code 66 for a shard that is missing, 65 for one that is broken.
    package init(paths: [FilePath], vocabularySize: Int? = nil) throws {
        let open = OpenShards()
        shards = try paths.map { try TokenShard(path: $0, open: open) }
        var total = 0
        starts = shards.map { shard in
            defer { total += shard.tokenCount }
            return total
        }
        tokenCount = total
        self.vocabularySize = vocabularySize
    }

    /// The shards that a pattern such as `data/train_*.bin` means: see `FilePath.matches`.
    ///
    /// - Throws: exit code 66 where nothing matches, and as `init(paths:vocabularySize:)`.
    package init(glob pattern: FilePath, vocabularySize: Int? = nil) throws {
        let paths = try pattern.matches()
        guard !paths.isEmpty else {
            throw ExitError(
                .missingInput,
                "no shard matches '\(pattern.shown)'; check the path, or give a pattern such as 'data/train_*.bin' in quotes"
            )
        }
        try self.init(paths: paths, vocabularySize: vocabularySize)
    }

    /// How many sequences of `contextLength` tokens there are: (tokens − 1) / T, rounded down.
    package func sequenceCount(contextLength: Int) -> Int {
        precondition(contextLength > 0)
        return max(0, tokenCount - 1) / contextLength
    }

    /// The same, at least `minimum`.
    ///
    /// - Throws: exit code 65 when there are fewer.
    package func requireSequences(_ minimum: Int = 1, contextLength: Int) throws -> Int {
        let count = sequenceCount(contextLength: contextLength)
        guard count >= minimum else {
            let name = shards.count == 1 ? "shard '\(shards[0].path.shown)'" : "\(shards.count) shards"
            throw ExitError(
                .badInput,
                "too few tokens: \(name) with \(tokenCount) tokens make \(count) sequences of "
                    + "\(contextLength), \(minimum) are needed; give more text or a shorter context")
        }
        return count
    }

    /// Copies one sequence.
    ///
    /// - Parameters:
    ///   - index: 0 ..< sequenceCount(contextLength:).
    ///   - inputs: [T], receives tokens i·T ..< i·T + T.
    ///   - targets: [T], receives tokens i·T + 1 ... i·T + T.
    /// - Throws: exit code 65 for an id outside the vocabulary or a shard that has become shorter.
    package func copySequence(
        _ index: Int, contextLength: Int, inputs: inout MutableSpan<Int32>, targets: inout MutableSpan<Int32>
    ) throws {
        precondition(inputs.count == contextLength && targets.count == contextLength)
        precondition(index >= 0 && index < sequenceCount(contextLength: contextLength))
        let start = index * contextLength
        try copyTokens(from: start, into: &inputs, 0..<contextLength)
        for position in 1..<contextLength { targets[position - 1] = inputs[position] }
        try copyTokens(from: start + contextLength, into: &targets, contextLength - 1..<contextLength)
    }

    /// Copies tokens from stream position `start` on into `range` of `tokens`, across shards.
    ///
    /// - Throws: as `copySequence`.
    package func copyTokens(from start: Int, into tokens: inout MutableSpan<Int32>, _ range: Range<Int>) throws {
        precondition(start >= 0 && start + range.count <= tokenCount)
        var done = 0
        var shard = starts.lastIndex { $0 <= start } ?? 0
        while done < range.count {
            let offset = start + done - starts[shard]
            let count = min(range.count - done, shards[shard].tokenCount - offset)
            if count > 0 {
                let part = range.lowerBound + done..<range.lowerBound + done + count
                try shards[shard].copyTokens(from: offset, into: &tokens, part)
                try check(tokens.span, part, shard, offset)
            }
            done += count
            shard += 1
        }
    }

    private func check(_ tokens: Span<Int32>, _ range: Range<Int>, _ shard: Int, _ offset: Int) throws {
        guard let vocabularySize else { return }
        for index in range {
            // As unsigned: an id of 2³¹ or more in a wide shard is too large, not negative.
            let id = Int(UInt32(bitPattern: tokens[index]))
            if id >= vocabularySize {
                throw badID(id, shards[shard], offset + index - range.lowerBound, vocabularySize)
            }
        }
    }

    func badID(_ id: Int, _ shard: TokenShard, _ offset: Int, _ vocabularySize: Int) -> ExitError {
        ExitError(
            .badInput,
            "shard '\(shard.path.shown)' has token id \(id) at token \(offset), but the vocabulary has "
                + "\(vocabularySize) tokens (ids 0 to \(vocabularySize - 1)); "
                + "give the vocabulary that the shard was made with")
    }
}
