/// What GPT-2's split pattern sees in a Unicode scalar.
enum ScalarClass {
    static let other: UInt8 = 0
    static let letter: UInt8 = 1
    static let number: UInt8 = 2
    static let blank: UInt8 = 3

    /// The class of each code point; those past the end of the table are `other`.
    static let table: [UInt8] = (0..<0x32400).map { Unicode.Scalar($0).map(classify) ?? other }

    /// Unicode 16, whatever the newer version is that the Swift library knows.
    private static func classify(_ scalar: Unicode.Scalar) -> UInt8 {
        let properties = scalar.properties
        if properties.isWhitespace { return blank }
        let kind: UInt8
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: kind = letter
        case .decimalNumber, .letterNumber, .otherNumber: kind = number
        default: return other
        }
        return properties.age.map { $0.major <= 16 } == true ? kind : other
    }
}

/// Strict UTF-8, one scalar at a time.
enum UTF8Scalar {
    /// The scalar that starts at `index` and its length in bytes.
    ///
    /// A byte that starts no valid scalar (overlong, surrogate, cut short, above U+10FFFF) is returned as U+FFFD with
    /// length 1: it is of class `other`, exactly what the replacement characters of a lossy decoder are, so text with
    /// broken bytes is split as Hugging Face would split it after such a decode, while the bytes themselves stay.
    @inline(__always)
    static func decode(_ text: Span<UInt8>, at index: Int) -> (point: UInt32, length: Int) {
        let lead = UInt32(text[unchecked: index])
        if lead < 0x80 { return (lead, 1) }
        let left = text.count - index
        func trail(_ offset: Int) -> UInt32? {
            guard offset < left else { return nil }
            let byte = text[unchecked: index + offset]
            return byte & 0xC0 == 0x80 ? UInt32(byte & 0x3F) : nil
        }
        switch lead {
        case 0xC2...0xDF:
            if let one = trail(1) { return ((lead & 0x1F) << 6 | one, 2) }
        case 0xE0...0xEF:
            if let one = trail(1), let two = trail(2) {
                let point = (lead & 0x0F) << 12 | one << 6 | two
                if point >= 0x800, !(0xD800...0xDFFF).contains(point) { return (point, 3) }
            }
        case 0xF0...0xF4:
            if let one = trail(1), let two = trail(2), let three = trail(3) {
                let point = (lead & 0x07) << 18 | one << 12 | two << 6 | three
                if (0x10000...0x10FFFF).contains(point) { return (point, 4) }
            }
        default:
            break
        }
        return (0xFFFD, 1)
    }
}
