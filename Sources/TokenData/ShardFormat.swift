/// llm.c's token files: a header of 256 little-endian int32 (magic, version, number of tokens, zeros), then the tokens.
enum ShardFormat {
    static let headerSize = 1024
    /// llm.c's own readers want a file's token count in an int32 and its bytes below 2 GiB.
    static let defaultTokenLimit = 100_000_000

    /// Two bytes a token: magic 20240520, version 1. For vocabularies up to 65,536.
    static let narrow = (magic: Int32(20_240_520), version: Int32(1), width: 2)
    /// Four bytes a token: magic 20240801, version 7.
    static let wide = (magic: Int32(20_240_801), version: Int32(7), width: 4)

    /// Bytes a token for a vocabulary.
    static func width(vocabularySize: Int) -> Int { vocabularySize <= 65536 ? narrow.width : wide.width }

    static func header(width: Int, tokenCount: Int) -> [UInt8] {
        let kind = width == narrow.width ? narrow : wide
        var bytes: [UInt8] = []
        for field in [kind.magic, kind.version, Int32(tokenCount)] {
            withUnsafeBytes(of: field.littleEndian) { bytes += $0 }
        }
        return bytes + [UInt8](repeating: 0, count: headerSize - bytes.count)
    }
}
