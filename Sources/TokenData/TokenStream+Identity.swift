import Basics

extension TokenStream {
    /// Shards up to this size are hashed whole; larger ones in 64 blocks of 64 KiB, spread evenly, the first and the
    /// last included. So even a terabyte of shards is named in a moment, and a shard that was replaced, regenerated,
    /// cut or grown is noticed; a change of single tokens in a large shard may not be.
    private static let wholeLimit = 4 << 20
    private static let blockSize = 64 << 10
    private static let blockCount = 64

    /// A name for the contents, 16 hexadecimal digits: another value means other data.
    ///
    /// Reads parts of every shard: its file name (not its directory: data may move), size, header and contents are
    /// hashed, in order.
    ///
    /// - Throws: exit code 65 or 66 for a shard that has changed or gone.
    package func identity() throws -> String {
        var hash = ContentHash()
        for shard in shards {
            let name = FilePath(root: nil, shard.path.lastComponent.map { [$0] } ?? []).bytes
            hash.update(name)
            hash.update(number: name.count)
            hash.update(number: shard.byteCount)
            if shard.byteCount <= Self.wholeLimit {
                hash.update(try shard.bytes(at: 0, count: shard.byteCount))
            } else {
                for block in 0..<Self.blockCount {
                    let offset = (shard.byteCount - Self.blockSize) / (Self.blockCount - 1) * block
                    let start = block == Self.blockCount - 1 ? shard.byteCount - Self.blockSize : offset
                    hash.update(try shard.bytes(at: start, count: Self.blockSize))
                }
            }
        }
        return hash.hexadecimal
    }

    /// Which tokenizer made the ids: what the shards' headers say, or else the tokenizer that lies beside them.
    ///
    /// - Parameters:
    ///   - name: what the stream is, such as `--train-data`.
    ///   - allowOther: whether shards of several tokenizers are meant to be one stream.
    /// - Throws: exit code 65 where shards, or they and the tokenizer beside them, say different things.
    package func tokenizer(_ name: String, allowOther: Bool) throws -> TokenizerIdentity.Origin {
        var origins: [TokenizerIdentity.Origin] = []
        for shard in shards {
            guard let identity = shard.tokenizer, identity != origins.last?.identity else { continue }
            origins.append(.init("\(name) '\(shard.path.shown)'", identity))
        }
        if let folder = shards.first?.path.parent, let beside = try Tokenizer.inFolder(folder) {
            origins.append(.init("the tokenizer in '\(folder.shown)'", try beside.tokenizer.identity()))
        }
        _ = try TokenizerIdentity.requireSame(origins, allowOther: allowOther)
        return .init(name, origins.first?.identity)
    }
}
