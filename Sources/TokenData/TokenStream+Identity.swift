extension TokenStream {
    /// Shards up to this size are hashed whole; larger ones in 64 blocks of 64 KiB, spread evenly, the first and the
    /// last included. So even a terabyte of shards is named in a moment, and a shard that was replaced, regenerated,
    /// cut or grown is noticed; a change of single tokens in a large shard may not be.
    private static let wholeLimit = 4 << 20
    private static let blockSize = 64 << 10
    private static let blockCount = 64

    /// Hashes each shard's file name (not its directory: data may move), size, header and contents, in order.
    static func identity(of shards: [TokenShard]) throws(TokenDataError) -> String {
        var hash = ContentHash()
        for shard in shards {
            let name = shard.path.utf8.lastIndex(of: UInt8(ascii: "/")).map { shard.path[$0...].dropFirst() }
            hash.update(String(name ?? shard.path[...]))
            hash.update(number: shard.byteCount)
            if shard.byteCount <= wholeLimit {
                hash.update(try shard.bytes(at: 0, count: shard.byteCount))
            } else {
                for block in 0..<blockCount {
                    let offset = (shard.byteCount - blockSize) / (blockCount - 1) * block
                    let start = block == blockCount - 1 ? shard.byteCount - blockSize : offset
                    hash.update(try shard.bytes(at: start, count: blockSize))
                }
            }
        }
        return hash.hexadecimal
    }
}
