import Basics

extension TokenStream {
    /// Tokens that are read and checked at once.
    private static let blockLength = 1 << 20

    /// Reads all shards once and checks that every id is below `vocabularySize`.
    ///
    /// - Throws: exit code 65 with the first bad id: its shard, its place and the vocabulary.
    package func validateTokenIDs(vocabularySize: Int, threads: Int = Machine().usableThreads) throws {
        let blocks = shards.filter { !($0.tokenWidth == 2 && vocabularySize >= 65536) }.flatMap { shard in
            stride(from: 0, to: shard.tokenCount, by: Self.blockLength).map { start in
                (shard: shard, start: start, count: min(Self.blockLength, shard.tokenCount - start))
            }
        }
        let buffers = Pool { [Int32](repeating: 0, count: Self.blockLength) }
        let size = shards.reduce(0) { $0 + $1.byteCount }
        let failures = WorkProgress.during("checking ids", of: size, .bytesRead) {
            parallelMap(blocks.count, threads: threads) { index -> (any Error)? in
                buffers.with { buffer in
                    let (shard, start, count) = blocks[index]
                    var tokens = buffer.mutableSpan
                    do {
                        try shard.copyTokens(from: start, into: &tokens, 0..<count)
                    } catch {
                        return error
                    }
                    // As unsigned: an id of 2³¹ or more is too large, not negative.
                    var largest: UInt32 = 0
                    for index in 0..<count { largest = max(largest, UInt32(bitPattern: tokens[unchecked: index])) }
                    guard Int(largest) >= vocabularySize else { return nil }
                    let bad = buffer[..<count].firstIndex { Int(UInt32(bitPattern: $0)) >= vocabularySize }
                    return bad.map { badID(Int(UInt32(bitPattern: buffer[$0])), shard, start + $0, vocabularySize) }
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
