import Basics

/// llm.c's token files: a header of 256 little-endian int32 (magic, version, number of tokens), then the tokens.
///
/// llm.c's readers skip the rest of the header. Swiftlet's shards say there which tokenizer made them: at byte 32 the
/// letters `swiftlet`, an int32 (1, the version of this part), an int32 (the vocabulary's size) and the 32 bytes of
/// `TokenizerIdentity`. All else is zero, and shards that were made for llm.c have zeros there too.
enum ShardFormat {
    static let headerSize = 1024

    /// Two bytes a token: magic 20240520, version 1. For vocabularies up to 65,536.
    static let narrow = (magic: 20_240_520, version: 1, width: 2)
    /// Four bytes a token: magic 20240801, version 7.
    static let wide = (magic: 20_240_801, version: 7, width: 4)

    private static let mark = Array("swiftlet".utf8)
    private static let markPlace = 32

    /// Bytes a token for a vocabulary.
    static func width(vocabularySize: Int) -> Int { vocabularySize <= 65536 ? narrow.width : wide.width }

    static func header(width: Int, tokenCount: Int, tokenizer: TokenizerIdentity?) -> [UInt8] {
        let kind = width == narrow.width ? narrow : wide
        var bytes = [kind.magic, kind.version, tokenCount].flatMap { littleEndian($0, 4) }
        if let tokenizer {
            bytes += [UInt8](repeating: 0, count: markPlace - bytes.count) + mark
            bytes += littleEndian(1, 4) + littleEndian(tokenizer.vocabularySize, 4)
            let digits = tokenizer.digest.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            bytes += stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        }
        return bytes + [UInt8](repeating: 0, count: headerSize - bytes.count)
    }

    /// Field `index` of a header, of those that are int32.
    static func field(_ header: [UInt8], _ index: Int) -> Int {
        let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(header[4 * index + $1]) << (8 * UInt32($1)) }
        return Int(Int32(bitPattern: bits))
    }

    /// Which tokenizer a header names; nil where it names none.
    ///
    /// - Throws: what `bad` makes of the reason, in words that follow the file's name.
    static func tokenizer(_ header: [UInt8], _ bad: (String) -> ExitError) throws -> TokenizerIdentity? {
        guard header[markPlace...].starts(with: mark) else { return nil }
        let version = field(header, markPlace / 4 + 2)
        let size = field(header, markPlace / 4 + 3)
        guard version == 1 else {
            throw bad("names its tokenizer in version \(version), expected 1: it was made by a newer swiftlet")
        }
        guard (1...Tokenizer.maximumID).contains(size) else {
            throw bad("names a tokenizer of \(size) tokens; its header is broken: copy or make it again")
        }
        return TokenizerIdentity(
            digest: header[markPlace + 16..<markPlace + 48].map(hexadecimal).joined(), vocabularySize: size)
    }
}
