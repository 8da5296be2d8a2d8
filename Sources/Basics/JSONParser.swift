/// The grammar behind `JSON`, over valid UTF-8. An explicit stack, so that deep nesting cannot exhaust the thread's.
struct JSONParser {
    private static let depthLimit = 64
    private static let nodeLimit = 1 << 24
    private static let words: [(String, JSON.Kind)] = [("true", .boolean), ("false", .boolean), ("null", .null)]

    let text: [UInt8]
    private(set) var nodes: [JSON.Node] = []
    private var index = 0

    init(_ text: [UInt8]) { self.text = text }

    private func fail(_ reason: String) -> JSONError { JSONError(reason, at: index) }

    /// The next byte; 0, which starts nothing, at the end.
    private var next: UInt8 { index < text.count ? text[index] : 0 }

    private mutating func skipBlanks() {
        while next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 { index += 1 }
    }

    private mutating func accept(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        index += 1
        return true
    }

    /// Reads the one value of the text and checks that nothing follows it.
    mutating func parse() throws(JSONError) {
        var open: [(node: Int, isObject: Bool)] = []
        repeat {
            // A value is due here: an element, or a name with its value.
            if open.last?.isObject == true {
                skipBlanks()
                guard next == UInt8(ascii: "\"") else { throw fail("expected a name in quotes") }
                try parseValue()
                skipBlanks()
                guard accept(":") else { throw fail("expected ':' after a name") }
            }
            skipBlanks()
            if next == UInt8(ascii: "{") || next == UInt8(ascii: "[") {
                guard open.count < Self.depthLimit else { throw fail("nested deeper than \(Self.depthLimit) levels") }
                open.append((nodes.count, next == UInt8(ascii: "{")))
                index += 1
                try append(text[index - 1] == UInt8(ascii: "{") ? .object : .array, from: index - 1)
                skipBlanks()
                if next != UInt8(ascii: open[open.count - 1].isObject ? "}" : "]") { continue }
            } else {
                try parseValue()
            }
            // A value has ended: close what ends with it.
            while let (container, isObject) = open.last {
                skipBlanks()
                if accept(isObject ? "}" : "]") {
                    nodes[container].end = Int32(index)
                    nodes[container].next = Int32(nodes.count)
                    open.removeLast()
                    if isObject { try checkNames(container) }
                } else if container < nodes.count - 1, accept(",") {
                    break
                } else {
                    throw fail(isObject ? "expected ',' or '}'" : "expected ',' or ']'")
                }
            }
        } while !open.isEmpty
        skipBlanks()
        guard index == text.count else { throw fail("text after the end of the value") }
    }

    private func checkNames(_ container: Int) throws(JSONError) {
        var seen: Set<[UInt8]> = []
        var key = container + 1
        while key < nodes.count {
            var start = Int(nodes[key].start)
            let name = try Self.string(text, at: &start)
            guard seen.insert(name).inserted else {
                let shown = quoted(String(decoding: name, as: UTF8.self))
                throw JSONError("the name \(shown) for the second time", at: Int(nodes[key].start))
            }
            key = Int(nodes[key + 1].next)
        }
    }

    private mutating func append(_ kind: JSON.Kind, from start: Int) throws(JSONError) {
        guard nodes.count < Self.nodeLimit else { throw fail("more than \(Self.nodeLimit) values") }
        nodes.append(.init(kind: kind, start: Int32(start), end: Int32(index), next: Int32(nodes.count + 1)))
    }

    /// Reads a value that is no container.
    private mutating func parseValue() throws(JSONError) {
        let start = index
        for (word, kind) in Self.words where text[index...].starts(with: word.utf8) {
            index += word.utf8.count
            return try append(kind, from: start)
        }
        if next == UInt8(ascii: "\"") {
            _ = try Self.string(text, at: &index)
            return try append(.string, from: start)
        }
        _ = accept("-")
        if !accept("0") { try skipDigits("a value") }
        if accept(".") { try skipDigits("a digit") }
        if accept("e") || accept("E") {
            if !accept("+") { _ = accept("-") }
            try skipDigits("a digit")
        }
        // Short ones without an exponent are in range, and a vocabulary has many.
        if index - start > 4, Double(String(decoding: text[start..<index], as: UTF8.self))?.isFinite != true {
            throw JSONError("a number beyond the range of Double", at: start)
        }
        try append(.number, from: start)
    }

    private mutating func skipDigits(_ expected: String) throws(JSONError) {
        guard (0x30...0x39).contains(next) else { throw fail("expected \(expected)") }
        while (0x30...0x39).contains(next) { index += 1 }
    }

    /// The bytes that the string at `index` stands for; moves `index` behind it.
    static func string(_ text: [UInt8], at index: inout Int) throws(JSONError) -> [UInt8] {
        var result: [UInt8] = []
        index += 1
        while true {
            guard index < text.count else { throw JSONError("the end inside a string", at: index) }
            let byte = text[index]
            guard byte >= 0x20 else { throw JSONError("a control character in a string", at: index) }
            index += 1
            if byte == UInt8(ascii: "\"") { return result }
            if byte != UInt8(ascii: "\\") {
                result.append(byte)
            } else if index < text.count, let place = Array("\"\\/bfnrt".utf8).firstIndex(of: text[index]) {
                result.append(Array("\"\\/\u{8}\u{C}\n\r\t".utf8)[place])
                index += 1
            } else {
                result += String(try escapedScalar(text, at: &index)).utf8
            }
        }
    }

    /// The character of `uXXXX` at `index`, or of two of them that are a pair; moves `index` behind it.
    private static func escapedScalar(_ text: [UInt8], at index: inout Int) throws(JSONError) -> Unicode.Scalar {
        var point = try codeUnit(text, at: index)
        index += 5
        if (0xD800..<0xDC00).contains(point), index < text.count, text[index] == UInt8(ascii: "\\") {
            let low = try codeUnit(text, at: index + 1)
            guard (0xDC00..<0xE000).contains(low) else { throw JSONError("an unpaired surrogate", at: index) }
            point = 0x10000 + (point - 0xD800) << 10 + (low & 0x3FF)
            index += 6
        }
        guard let scalar = Unicode.Scalar(point) else { throw JSONError("an unpaired surrogate", at: index) }
        return scalar
    }

    private static func codeUnit(_ text: [UInt8], at index: Int) throws(JSONError) -> UInt32 {
        let digits = text[min(index, text.count)...].prefix(5)
        guard digits.count == 5, digits.first == UInt8(ascii: "u"),
            let unit = UInt32(String(decoding: digits.dropFirst(), as: UTF8.self), radix: 16), digits[index + 1] != 0x2B
        else { throw JSONError("a bad escape in a string", at: index) }
        return unit
    }
}
