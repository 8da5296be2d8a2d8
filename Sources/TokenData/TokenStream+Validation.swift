extension TokenStream {
    /// Tokens that are read and checked at once.
    private static let blockLength = 1 << 20

    /// Reads all shards once and checks that every id is below `vocabularySize`.
    ///
    /// - Throws: exit code 65 with the first bad id: its shard, its place and the vocabulary.
    package func validateTokenIDs(
        vocabularySize: Int, threads: Int = allowedCoreCount()
    ) throws {
        var blocks: [(shard: TokenShard, start: Int, count: Int)] = []
        for shard in shards where !(shard.tokenWidth == 2 && vocabularySize >= 65536) {
            for start in stride(from: 0, to: shard.tokenCount, by: Self.blockLength) {
                blocks.append((shard, start, min(Self.blockLength, shard.tokenCount - start)))
            }
        }
        let scanned = blocks
        let buffers = Pool { [UInt32](repeating: 0, count: Self.blockLength) }
        let failures = parallelMap(scanned.count, threads: threads) { index -> (any Error)? in
            buffers.with { buffer in
                let (shard, start, count) = scanned[index]
                do {
                    guard let bad = try shard.firstBadID(start, count, vocabularySize, &buffer) else { return nil }
                    return badID(bad.id, shard, bad.offset, vocabularySize)
                } catch {
                    return error
                }
            }
        }
        if let first = failures.compactMap({ $0 }).first { throw first }
    }

    /// The smallest and the largest id; nil without tokens. Reads all shards.
    package func idRange() throws -> ClosedRange<Int>? {
        var (least, most) = (UInt32.max, UInt32.min)
        var tokens = [Int32](repeating: 0, count: min(tokenCount, Self.blockLength))
        for start in stride(from: 0, to: tokenCount, by: Self.blockLength) {
            let range = 0..<min(Self.blockLength, tokenCount - start)
            var span = tokens.mutableSpan
            try copyTokens(from: start, into: &span, range)
            for token in tokens[range] {
                least = min(least, UInt32(bitPattern: token))
                most = max(most, UInt32(bitPattern: token))
            }
        }
        return tokenCount == 0 ? nil : Int(least)...Int(most)
    }
}

extension TokenShard {
    /// The first id at or above `limit` among `count` tokens from `start` on.
    fileprivate func firstBadID(
        _ start: Int, _ count: Int, _ limit: Int, _ buffer: inout [UInt32]
    ) throws -> (offset: Int, id: Int)? {
        var span = buffer.mutableSpan
        var raw = span.mutableBytes
        try read(&raw, 0..<count * tokenWidth, from: start)
        let loaded = span.span
        if tokenWidth == 4 {
            var largest: UInt32 = 0
            for index in 0..<count { largest = max(largest, loaded[unchecked: index]) }
            guard Int(largest) >= limit else { return nil }
            for index in 0..<count where Int(loaded[index]) >= limit { return (start + index, Int(loaded[index])) }
            return nil
        }
        // Two narrow tokens in each 32 bits.
        var low: UInt32 = 0
        var high: UInt32 = 0
        for index in 0..<count / 2 {
            low = max(low, loaded[unchecked: index] & 0xFFFF)
            high = max(high, loaded[unchecked: index] >> 16)
        }
        if count % 2 == 1 { low = max(low, loaded[count / 2] & 0xFFFF) }
        guard Int(max(low, high)) >= limit else { return nil }
        for index in 0..<count {
            let id = Int(index % 2 == 0 ? loaded[index / 2] & 0xFFFF : loaded[index / 2] >> 16)
            if id >= limit { return (start + index, id) }
        }
        return nil
    }
}
