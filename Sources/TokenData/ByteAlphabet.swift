/// GPT-2's map between bytes and printable characters, which `vocab.json`, `merges.txt` and `tokenizer.json` use.
///
/// Printable Latin-1 bytes stand for themselves; the other 68, in increasing order, stand for U+0100 to U+0143.
enum ByteAlphabet {
    /// The code point of each byte.
    static let codePoints: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                return UInt32(byte)
            default:
                next += 1
                return next - 1
            }
        }
    }()

    /// The byte of each code point below 0x144, or -1 where none maps to it.
    static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, point) in codePoints.enumerated() { table[Int(point)] = Int16(byte) }
        return table
    }()

    /// All bytes in the order of their code points: the order of a trained vocabulary's first 256 tokens.
    static let bytesByCodePoint: [UInt8] = (0..<256).sorted { codePoints[$0] < codePoints[$1] }.map { UInt8($0) }

    /// Appends the UTF-8 form of a byte's character; every code point here takes one or two bytes.
    static func append(_ byte: UInt8, to text: inout [UInt8]) {
        let point = codePoints[Int(byte)]
        if point < 0x80 {
            text.append(UInt8(point))
        } else {
            text.append(UInt8(0xC0 | point >> 6))
            text.append(UInt8(0x80 | point & 0x3F))
        }
    }

    /// The printable form of raw bytes, as UTF-8.
    static func printable(_ raw: some Sequence<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        for byte in raw { append(byte, to: &text) }
        return text
    }

    /// The raw bytes of a printable form, or nil where a character is outside the map.
    static func raw(_ printable: some Collection<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(printable.count)
        var lead: UInt32 = 0
        for byte in printable {
            let point: UInt32
            if lead != 0 {
                guard byte & 0xC0 == 0x80 else { return nil }
                point = lead << 6 | UInt32(byte & 0x3F)
                lead = 0
            } else if byte < 0x80 {
                point = UInt32(byte)
            } else if byte & 0xE0 == 0xC0, byte & 0x1F != 0 {
                lead = UInt32(byte & 0x1F)
                continue
            } else {
                return nil
            }
            guard point < bytes.count, bytes[Int(point)] >= 0 else { return nil }
            result.append(UInt8(bytes[Int(point)]))
        }
        return lead == 0 ? result : nil
    }
}
