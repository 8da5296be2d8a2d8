/// The grammar behind `JSONDocument`. An explicit stack, so that deep nesting cannot exhaust the thread's.
struct JSONParser {
    typealias Failure = JSONDocument.Failure

    let text: [UInt8]
    var nodes: [JSONDocument.Node] = []
    private var index = 0

    init(text: [UInt8]) { self.text = text }

    private func fail(_ reason: String) -> Failure { Failure(reason: reason, offset: index) }

    private func peek() -> UInt8? { index < text.count ? text[index] : nil }

    private mutating func skipBlanks() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard peek() == byte else { return false }
        index += 1
        return true
    }

    /// Reads the one value of the text and checks that nothing follows it.
    mutating func parseDocument() throws(Failure) {
        var open: [Int] = []
        repeat {
            // A value is due here: an element, or a key with its value.
            if let container = open.last, nodes[container].kind == .object {
                skipBlanks()
                guard peek() == UInt8(ascii: "\"") else { throw fail("expected a key in quotes") }
                try parseString()
                guard accept(UInt8(ascii: ":")) else { throw fail("expected ':' after a key") }
            }
            if try parseValue(depth: open.count) { open.append(nodes.count - 1) }
            if let container = open.last, container == nodes.count - 1, !isClosing(container) { continue }
            // A value has ended: close what ends with it.
            while let container = open.last {
                let isObject = nodes[container].kind == .object
                let isEmpty = container == nodes.count - 1
                if accept(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    nodes[container].next = Int32(nodes.count)
                    nodes[container].end = Int32(index)
                    open.removeLast()
                } else if !isEmpty, accept(UInt8(ascii: ",")) {
                    break
                } else {
                    throw fail(isObject ? "expected ',' or '}'" : "expected ',' or ']'")
                }
            }
        } while !open.isEmpty
        skipBlanks()
        guard index == text.count else { throw fail("has text after its end") }
    }

    /// Whether the container that has just been opened ends at once.
    private mutating func isClosing(_ container: Int) -> Bool {
        skipBlanks()
        return peek() == (nodes[container].kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    }

    private mutating func append(_ kind: JSONDocument.Kind, from start: Int, hasEscapes: Bool = false) throws(Failure) {
        guard nodes.count < JSONDocument.maximumNodes else {
            throw fail("holds more than \(JSONDocument.maximumNodes) values")
        }
        let next = Int32(nodes.count + 1)
        nodes.append(.init(kind: kind, hasEscapes: hasEscapes, start: Int32(start), end: Int32(index), next: next))
    }

    /// Reads a scalar value, or the opening bracket of a container; true for the latter.
    private mutating func parseValue(depth: Int) throws(Failure) -> Bool {
        skipBlanks()
        let start = index
        switch peek() {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard depth < JSONDocument.maximumDepth else {
                throw fail("is nested deeper than \(JSONDocument.maximumDepth) levels")
            }
            let kind: JSONDocument.Kind = peek() == UInt8(ascii: "{") ? .object : .array
            index += 1
            try append(kind, from: start)
            return true
        case UInt8(ascii: "\""):
            try parseString()
        case UInt8(ascii: "t"):
            try parseWord("true", .boolean)
        case UInt8(ascii: "f"):
            try parseWord("false", .boolean)
        case UInt8(ascii: "n"):
            try parseWord("null", .null)
        default:
            try parseNumber()
        }
        return false
    }

    private mutating func parseWord(_ word: StaticString, _ kind: JSONDocument.Kind) throws(Failure) {
        let start = index
        let letters = Array(word.description.utf8)
        guard text[index...].starts(with: letters) else { throw fail("expected a value") }
        index += letters.count
        try append(kind, from: start)
    }

    private mutating func parseNumber() throws(Failure) {
        let start = index
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
        if peek() == UInt8(ascii: "-") { index += 1 }
        guard isDigit(peek()) else { throw fail("expected a value") }
        if peek() == UInt8(ascii: "0") {
            index += 1
        } else {
            while isDigit(peek()) { index += 1 }
        }
        if peek() == UInt8(ascii: ".") {
            index += 1
            guard isDigit(peek()) else { throw fail("expected a digit") }
            while isDigit(peek()) { index += 1 }
        }
        if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
            index += 1
            if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { index += 1 }
            guard isDigit(peek()) else { throw fail("expected a digit") }
            while isDigit(peek()) { index += 1 }
        }
        try append(.number, from: start)
    }

    private mutating func parseString() throws(Failure) {
        index += 1
        let start = index
        var hasEscapes = false
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            if byte < 0x20 { throw fail("has a control character in a string") }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try checkEscape()
            } else if byte < 0x80 {
                index += 1
            } else {
                let length = UTF8Scalar.decode(text.span, at: index).length
                guard length > 1 else { throw fail("has invalid UTF-8 in a string") }
                index += length
            }
        }
        guard index < text.count else { throw fail("ends inside a string") }
        try append(.string, from: start, hasEscapes: hasEscapes)
        index += 1
    }

    private mutating func checkEscape() throws(Failure) {
        guard index + 1 < text.count else { throw fail("ends inside a string") }
        guard text[index + 1] == UInt8(ascii: "u") else {
            guard Self.simpleEscape(text[index + 1]) != nil else { throw fail("has an unknown escape in a string") }
            index += 2
            return
        }
        guard let unit = Self.hex(text[...], at: index + 2) else { throw fail("has a bad \\u escape") }
        if (0xDC00...0xDFFF).contains(unit) { throw fail("has an unpaired surrogate") }
        if (0xD800...0xDBFF).contains(unit) {
            guard index + 7 < text.count, text[index + 6] == UInt8(ascii: "\\"), text[index + 7] == UInt8(ascii: "u"),
                let low = Self.hex(text[...], at: index + 8), (0xDC00...0xDFFF).contains(low)
            else { throw fail("has an unpaired surrogate") }
            index += 6
        }
        index += 6
    }

    private static func simpleEscape(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    private static func hex(_ text: ArraySlice<UInt8>, at start: Int) -> UInt32? {
        guard start + 4 <= text.endIndex else { return nil }
        var value: UInt32 = 0
        for byte in text[start..<start + 4] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    /// Resolves the escapes of a string that has passed `parseString`.
    static func unescape(_ raw: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var index = raw.startIndex
        while index < raw.endIndex {
            guard raw[index] == UInt8(ascii: "\\") else {
                result.append(raw[index])
                index += 1
                continue
            }
            if let byte = simpleEscape(raw[index + 1]) {
                result.append(byte)
                index += 2
                continue
            }
            var point = hex(raw, at: index + 2) ?? 0xFFFD
            index += 6
            if (0xD800...0xDBFF).contains(point), let low = hex(raw, at: index + 2) {
                point = 0x10000 + (point - 0xD800) << 10 + (low & 0x3FF)
                index += 6
            }
            result += String(Character(Unicode.Scalar(point) ?? "\u{FFFD}")).utf8
        }
        return result
    }
}
