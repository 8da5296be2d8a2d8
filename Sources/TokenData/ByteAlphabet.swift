/// GPT-2's map between bytes and printable characters, which `vocab.json`, `merges.txt` and `tokenizer.json` use.
///
/// Printable Latin-1 bytes stand for themselves; the other 68, in increasing order, stand for U+0100 to U+0143.
enum ByteAlphabet {
    /// The character of each byte.
    static let characters: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                return Unicode.Scalar(byte)
            default:
                next += 1
                return Unicode.Scalar(next - 1) ?? "\0"
            }
        }
    }()

    /// The byte of each character.
    private static let bytes = Dictionary(uniqueKeysWithValues: zip(characters, 0...UInt8.max))

    /// All bytes in the order of their characters: the order of a trained vocabulary's first 256 tokens.
    static let bytesByCodePoint: [UInt8] = (0...UInt8.max).sorted { characters[Int($0)] < characters[Int($1)] }

    /// The printable form of raw bytes, as UTF-8.
    static func printable(_ raw: some Sequence<UInt8>) -> [UInt8] {
        raw.flatMap { String(characters[Int($0)]).utf8 }
    }

    /// The raw bytes of a printable form, or nil where a character is outside the map.
    static func raw(_ printable: [UInt8]) -> [UInt8]? {
        let scalars = String(decoding: printable, as: UTF8.self).unicodeScalars
        let result = scalars.compactMap { bytes[$0] }
        return result.count == scalars.count ? result : nil
    }
}
