import Basics

/// The fields of a protocol buffer message, one after the other, until its end or what is no field.
struct MessageFields {
    /// A field: its value where that is a number, and where its content lies in the bytes.
    struct Field {
        var number = 0
        var value: UInt64 = 0
        var content = 0..<0
    }

    private let bytes: [UInt8]
    private var place: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        place = range.lowerBound
        end = range.upperBound
    }

    mutating func next() -> Field? {
        guard place < end, let key = varint() else { return nil }
        var field = Field(number: Int(key >> 3))
        var size: UInt64 = 0
        switch key & 7 {
        case 0:
            guard let value = varint() else { return nil }
            field.value = value
        case 1: size = 8
        case 2:
            guard let length = varint() else { return nil }
            size = length
        case 5: size = 4
        default: return nil
        }
        guard size <= UInt64(end - place) else { return nil }
        field.content = place..<place + Int(size)
        if key & 7 != 2, size > 0 { field.value = littleEndianNumber(bytes, field.content) }
        place += Int(size)
        return field
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard place < end else { return nil }
            let byte = bytes[place]
            place += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }
}

/// A number of up to eight bytes, the lowest first.
func littleEndianNumber(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    range.reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
}

/// An event of a file, read where it lies.
package struct RecordedEvent {
    /// A value of a summary: a scalar or a text.
    package struct Value: Equatable, Sendable {
        package var tag = ""
        package var scalar: Float?
        package var text: String?
    }

    /// Seconds since 1970.
    package private(set) var time = 0.0
    package private(set) var step = 0
    /// Whether a start of the run is marked here.
    package private(set) var isStart = false
    /// `brain.Event:2`, in the first event of a file.
    package private(set) var version: String?
    private let bytes: [UInt8]
    private var summary: Range<Int>?

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        var fields = MessageFields(bytes, range)
        while let field = fields.next() {
            switch field.number {
            case 1: time = Double(bitPattern: field.value)
            case 2: step = Int(truncatingIfNeeded: field.value)
            case 3: version = Self.text(bytes, field.content)
            case 5: summary = field.content
            case 7: isStart = true
            default: break
            }
        }
    }

    /// Whether the first value of the summary is a scalar; nil without a summary.
    var hasScalars: Bool? {
        guard let summary else { return nil }
        var values = MessageFields(bytes, summary)
        guard let first = values.next() else { return false }
        var fields = MessageFields(bytes, first.content)
        while let field = fields.next() { if field.number == 2 { return true } }
        return false
    }

    /// The values of its summary.
    package var values: [Value] {
        var found: [Value] = []
        var values = MessageFields(bytes, summary ?? 0..<0)
        while let field = values.next() {
            var value = Value()
            var fields = MessageFields(bytes, field.content)
            while let part = fields.next() {
                switch part.number {
                case 1: value.tag = Self.text(bytes, part.content)
                case 2: value.scalar = Float(bitPattern: UInt32(truncatingIfNeeded: part.value))
                case 8:
                    var tensor = MessageFields(bytes, part.content)
                    while let part = tensor.next() {
                        if part.number == 8 { value.text = Self.text(bytes, part.content) }
                    }
                default: break
                }
            }
            found.append(value)
        }
        return found
    }

    private static func text(_ bytes: [UInt8], _ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    /// Reads a file's events in their order, until its end or a record that is not whole.
    /// - Parameter body: takes an event and the offset in the file behind it.
    /// - Returns: the file's size.
    /// - Throws: `FileSystemError` (65 or 66) when it cannot be read.
    @discardableResult
    package static func forEach(
        in path: FilePath, fileSystem: any FileSystem = LocalFileSystem(), _ body: (RecordedEvent, _ end: Int) -> Void
    ) throws(FileSystemError) -> Int {
        let file = try InputFile(path, fileSystem: fileSystem)
        let usual = 1 << 20
        var (offset, wanted) = (0, usual)
        while offset < file.size {
            let block = try file.availableBytes(min(wanted, file.size - offset), at: offset)
            var (place, needsMore) = (0, false)
            wanted = usual
            while place + EventRecords.frame <= block.count {
                let length = littleEndianNumber(block, place..<place + 8)
                let rest = UInt64(file.size - offset - place - EventRecords.frame)
                guard length <= rest, isSound(block, place..<place + 8) else { return file.size }
                let end = place + EventRecords.frame + Int(length)
                guard end <= block.count else {
                    (wanted, needsMore) = (max(usual, end - place), true)
                    break
                }
                guard isSound(block, place + 12..<end - 4) else { return file.size }
                body(RecordedEvent(block, place + 12..<end - 4), offset + end)
                place = end
            }
            guard place > 0 || needsMore else { break }
            offset += place
        }
        return file.size
    }

    /// Whether the checksum that follows a part of the bytes is theirs.
    private static func isSound(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        let written = littleEndianNumber(bytes, range.upperBound..<range.upperBound + 4)
        return written == UInt64(CRC32C.masked(bytes, range))
    }
}
