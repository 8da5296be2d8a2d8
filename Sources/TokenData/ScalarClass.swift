/// What GPT-2's split pattern sees in a Unicode scalar.
enum ScalarClass {
    static let other: UInt8 = 0
    static let letter: UInt8 = 1
    static let number: UInt8 = 2
    static let blank: UInt8 = 3

    /// The class of each code point; those past the end of the table are `other`.
    static let table: [UInt8] = {
        let runs = [
            (letter, UnicodeTables.letterRuns), (number, UnicodeTables.numberRuns), (blank, UnicodeTables.blankRuns),
        ]
        let end = runs.compactMap { _, run in run.isEmpty ? nil : Int(run[run.count - 2] + run[run.count - 1]) }.max()
        var table = [UInt8](repeating: other, count: end ?? 0)
        for (kind, run) in runs {
            for index in stride(from: 0, to: run.count, by: 2) {
                let first = Int(run[index])
                for point in first..<first + Int(run[index + 1]) { table[point] = kind }
            }
        }
        return table
    }()
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

    /// Whether all of `text` is valid UTF-8.
    static func isValid(_ text: Span<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            if text[unchecked: index] < 0x80 {
                index += 1
                continue
            }
            let (_, length) = decode(text, at: index)
            if length == 1 { return false }
            index += length
        }
        return true
    }
}
