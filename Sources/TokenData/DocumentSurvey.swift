import Basics

/// What reading a file once says about it.
struct DocumentSurvey {
    private(set) var byteCount = 0
    private(set) var hash = ContentHash()
    /// Why it is not text: a NUL byte, UTF-16, or a format that is packed; nil where it is text.
    private(set) var notText: String?
    private(set) var isUTF8 = true
    /// Its letters' writing system, judged by the first pages.
    private(set) var script: String?

    private static let formats: [(name: String, starts: [[UInt8]])] = [
        ("UTF-16 (convert them with iconv -t UTF-8)", [[0xFF, 0xFE], [0xFE, 0xFF]]),
        (
            "compressed (unpack them first)",
            [[0x1F, 0x8B], [0x28, 0xB5, 0x2F, 0xFD], [0xFD] + Array("7zXZ".utf8)]
                + ["BZh", "PK\u{3}\u{4}"].map { Array($0.utf8) }
        ), ("Parquet (write their text out first)", [Array("PAR1".utf8)]),
    ]

    init(_ file: InputFile) throws {
        let length = 1 << 20
        while true {
            var bytes = try file.availableBytes(length, at: byteCount)
            let isLast = bytes.count < length
            if byteCount == 0 {
                notText = Self.formats.first { $0.starts.contains { bytes.starts(with: $0) } }?.name
                script = WritingSystem.dominant(in: Array(bytes.prefix(1 << 12)))
            }
            if bytes.contains(0), notText == nil { notText = "binary (they hold NUL bytes)" }
            if notText != nil { return }
            if isUTF8, let place = firstBrokenUTF8(bytes) {
                // A character that the end of the piece cuts is read again with the next one.
                if !isLast, place > bytes.count - 4, place > 0 {
                    bytes.removeLast(bytes.count - place)
                } else {
                    isUTF8 = false
                }
            }
            hash.update(bytes)
            byteCount += bytes.count
            if isLast { return }
        }
    }
}

/// Writing systems, as far as it takes to notice that a corpus holds several.
enum WritingSystem {
    /// Where each one's letters end, in the order of code points; `other` letters come between.
    private static let ends: [(end: UInt32, name: String)] = [
        (0x250, "Latin"), (0x370, "other"), (0x400, "Greek"), (0x530, "Cyrillic"), (0x590, "Armenian"),
        (0x600, "Hebrew"), (0x780, "Arabic"), (0x900, "other"), (0xE00, "Indic"), (0xE80, "Thai"), (0x10A0, "other"),
        (0x1100, "Georgian"), (0x1200, "Korean"), (0x1E00, "other"), (0x1F00, "Latin"), (0x2000, "Greek"),
        (0x3040, "other"), (0xA000, "Chinese or Japanese"), (0xAC00, "other"), (0xD7B0, "Korean"),
        (.max, "other"),
    ]

    /// The one that most letters are of; nil for text without letters.
    static func dominant(in text: [UInt8]) -> String? {
        var counts = [Int](repeating: 0, count: ends.count)
        var index = 0
        while index < text.count {
            let (point, length) = UTF8Scalar.decode(text.span, at: index)
            index += length
            guard Int(point) < ScalarClass.table.count, ScalarClass.table[Int(point)] == ScalarClass.letter,
                let system = ends.firstIndex(where: { point < $0.end })
            else { continue }
            counts[system] += 1
        }
        guard let most = counts.max(), most > 0 else { return nil }
        return counts.firstIndex(of: most).map { ends[$0].name }
    }
}
