extension JSONValue {
    /// Nesting that is accepted. Parsing recurses once a level, so this also bounds the stack.
    public static let depthLimit = 64

    /// Reads one JSON value that fills `bytes` (blanks around it allowed); throws `JSONError` with the place.
    public static func parse(_ bytes: [UInt8], sizeLimit: Int = 16 << 20) throws(JSONError) -> JSONValue {
        guard bytes.count <= sizeLimit else {
            throw JSONError(reason: "\(bytes.count) bytes of JSON, expected at most \(sizeLimit)")
        }
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            throw JSONError(reason: "invalid UTF-8", offset: error.byteOffsets.lowerBound)
        }
        var parser = JSONParser(bytes: bytes)
        return try parser.document()
    }
}

/// A recursive-descent parser over valid UTF-8.
private struct JSONParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipBlanks()
        guard position == bytes.count else { throw error("text after the end of the value") }
        return value
    }

    private func error(_ reason: String) -> JSONError { JSONError(reason: reason, offset: position) }

    /// The next byte; 0, which starts no token, at the end.
    private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func skipBlanks() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"):
            guard depth < JSONValue.depthLimit else { throw error("nested deeper than \(JSONValue.depthLimit)") }
            return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["):
            guard depth < JSONValue.depthLimit else { throw error("nested deeper than \(JSONValue.depthLimit)") }
            return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error(position < bytes.count ? "unexpected character" : "unexpected end")
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in "\(text)".utf8 {
            guard next == byte else { throw error("unexpected character") }
            position += 1
        }
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        position += 1
        var object = JSONObject()
        skipBlanks()
        if next == UInt8(ascii: "}") {
            position += 1
            return object
        }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw error("expected a name in quotes") }
            let start = position
            let name = try string()
            skipBlanks()
            guard next == UInt8(ascii: ":") else { throw error("expected ':'") }
            position += 1
            let value = try value(depth: depth)
            guard object.append(name, value) else {
                throw JSONError(reason: "the name \(quoted(name)) occurs twice", offset: start)
            }
            skipBlanks()
            if try closes(UInt8(ascii: "}")) { return object }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        position += 1
        var elements: [JSONValue] = []
        skipBlanks()
        if next == UInt8(ascii: "]") {
            position += 1
            return elements
        }
        while true {
            elements.append(try value(depth: depth))
            skipBlanks()
            if try closes(UInt8(ascii: "]")) { return elements }
        }
    }

    /// Consumes a comma (false) or the closing bracket (true).
    private mutating func closes(_ bracket: UInt8) throws(JSONError) -> Bool {
        guard next == bracket || next == UInt8(ascii: ",") else {
            throw error(position < bytes.count ? "expected ',' or the closing bracket" : "unexpected end")
        }
        defer { position += 1 }
        return next == bracket
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        var whole = true
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        func digits(_ parser: inout JSONParser) throws(JSONError) {
            guard isDigit(parser.next) else { throw parser.error("expected a digit") }
            while isDigit(parser.next) { parser.position += 1 }
        }
        if next == UInt8(ascii: "-") { position += 1 }
        if next == UInt8(ascii: "0") {
            position += 1
            guard !isDigit(next) else { throw error("a number with a leading zero") }
        } else {
            try digits(&self)
        }
        if next == UInt8(ascii: ".") {
            whole = false
            position += 1
            try digits(&self)
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            whole = false
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            try digits(&self)
        }
        guard position - start <= 1024 else {
            throw JSONError(reason: "a number of \(position - start) characters", offset: start)
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole, text != "-0" {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else {
            throw JSONError(reason: "a number out of range", offset: start)
        }
        return .double(value)
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        var text = ""
        var start = position
        while true {
            guard position < bytes.count else { throw error("a string without its end") }
            switch bytes[position] {
            case UInt8(ascii: "\""):
                text += String(decoding: bytes[start..<position], as: UTF8.self)
                position += 1
                return text
            case UInt8(ascii: "\\"):
                text += String(decoding: bytes[start..<position], as: UTF8.self)
                text.unicodeScalars.append(try escape())
                start = position
            case 0..<0x20:
                throw error("a control character in a string")
            default:
                position += 1
            }
        }
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        let start = position
        position += 1
        let letter = next
        position += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw JSONError(reason: "an unknown escape", offset: start)
        }
        let first = try fourHexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        // Half of a pair: the other half must follow.
        guard first < 0xDC00, next == UInt8(ascii: "\\") else {
            throw JSONError(reason: "a lone surrogate", offset: start)
        }
        position += 1
        guard next == UInt8(ascii: "u") else { throw JSONError(reason: "a lone surrogate", offset: start) }
        position += 1
        let second = try fourHexDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONError(reason: "a lone surrogate", offset: start) }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(next)).hexDigitValue else {
                throw error("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}

/// A name from a file, cut and made printable, for a message.
func quoted(_ name: String) -> String {
    let shown = name.unicodeScalars.prefix(60).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
    return "\"" + shown.joined() + (name.unicodeScalars.count > 60 ? "…\"" : "\"")
}
