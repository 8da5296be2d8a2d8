/// The grammar behind `JSON`, over valid UTF-8. An explicit stack, so that deep nesting cannot exhaust the thread's.
struct JSONParser {
    private static let depthLimit = 64
    private static let nodeLimit = 1 << 24
    private static let words: [(String, JSON.Kind)] = [("true", .boolean), ("false", .boolean), ("null", .null)]
    private static let escapes = (letters: Array("\"\\/bfnrt".utf8), bytes: Array("\"\\/\u{8}\u{C}\n\r\t".utf8))

    let text: [UInt8]
    private(set) var nodes: [JSON.Node] = []
    private var index = 0

    init(_ text: [UInt8]) { self.text = text }

    private func fail(_ reason: String) -> JSONError { JSONError(reason, at: index) }

    /// The next byte behind blanks; 0, which starts nothing, at the end.
    private mutating func next() -> Unicode.Scalar {
        while index < text.count, [0x20, 0x0A, 0x0D, 0x09].contains(text[index]) { index += 1 }
        return index < text.count ? Unicode.Scalar(text[index]) : "\0"
    }

    private mutating func accept(_ byte: Unicode.Scalar) -> Bool {
        guard index < text.count, text[index] == UInt8(ascii: byte) else { return false }
        index += 1
        return true
    }

    /// Reads the one value of the text and checks that nothing follows it.
    mutating func parse() throws(JSONError) {
        var open: [(node: Int, isObject: Bool)] = []
        repeat {
            // A value is due here: an element, or a name with its value.
            if open.last?.isObject == true {
                guard next() == "\"" else { throw fail("expected a name in quotes") }
                try parseValue()
                guard next() == ":", accept(":") else { throw fail("expected ':' after a name") }
            }
            let byte = next()
            if byte == "{" || byte == "[" {
                guard open.count < Self.depthLimit else { throw fail("nested deeper than \(Self.depthLimit) levels") }
                open.append((nodes.count, byte == "{"))
                index += 1
                try append(byte == "{" ? .object : .array, from: index - 1)
                if next() != (byte == "{" ? "}" : "]") { continue }
            } else {
                try parseValue()
            }
            // A value has ended: close what ends with it.
            while let (container, isObject) = open.last {
                _ = next()
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
        guard next() == "\0", index == text.count else { throw fail("text after the end of the value") }
    }

    private func checkNames(_ container: Int) throws(JSONError) {
        var seen: Set<[UInt8]> = []
        let keys = sequence(first: container + 1) { Int(nodes[$0 + 1].next) }.prefix { $0 < nodes.count }
        for start in keys.map({ Int(nodes[$0].start) }) {
            var end = start
            let name = try Self.string(text, at: &end)
            guard seen.insert(name).inserted else {
                let shown = quoted(String(decoding: name, as: UTF8.self))
                throw JSONError("the name \(shown) for the second time", at: start)
            }
        }
    }

    private mutating func append(_ kind: JSON.Kind, from start: Int) throws(JSONError) {
        guard nodes.count < Self.nodeLimit else { throw fail("more than \(Self.nodeLimit) values") }
        nodes.append(.init(kind: kind, start: Int32(start), end: Int32(index), next: Int32(nodes.count + 1)))
    }

    /// Reads a value that is no container.
    private mutating func parseValue() throws(JSONError) {
        let start = index
        if index < text.count, text[index] == UInt8(ascii: "\"") {
            _ = try Self.string(text, at: &index)
            return try append(.string, from: start)
        }
        for (word, kind) in Self.words where text[index...].starts(with: word.utf8) {
            index += word.utf8.count
            return try append(kind, from: start)
        }
        _ = accept("-")
        if !accept("0") { try skipDigits("a value") }
        if accept(".") { try skipDigits("a digit") }
        if accept("e") || accept("E") {
            if !accept("+") { _ = accept("-") }
            try skipDigits("a digit")
        }
        // Short ones are in range, and a vocabulary has many.
        if index - start > 4, Double(String(decoding: text[start..<index], as: UTF8.self))?.isFinite != true {
            throw JSONError("a number beyond the range of Double", at: start)
        }
        try append(.number, from: start)
    }

    private mutating func skipDigits(_ expected: String) throws(JSONError) {
        let digits = text[index...].prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty else { throw fail("expected \(expected)") }
        index = digits.endIndex
    }

    /// The bytes that the string at `index` stands for; moves `index` behind it.
    static func string(_ text: [UInt8], at index: inout Int) throws(JSONError) -> [UInt8] {
        var result: [UInt8] = []
        index += 1
        while index < text.count, text[index] >= 0x20 {
            let byte = text[index]
            index += 1
            if byte == UInt8(ascii: "\"") { return result }
            if byte != UInt8(ascii: "\\") {
                result.append(byte)
            } else if index < text.count, let place = escapes.letters.firstIndex(of: text[index]) {
                result.append(escapes.bytes[place])
                index += 1
            } else {
                // `uXXXX`, or two of them that are one character.
                var point = try codeUnit(text, at: &index)
                if 0xD800..<0xDC00 ~= point, index < text.count, text[index] == UInt8(ascii: "\\") {
                    index += 1
                    let low = try codeUnit(text, at: &index)
                    point = 0xDC00..<0xE000 ~= low ? 0x10000 + (point - 0xD800) << 10 + (low & 0x3FF) : 0xD800
                }
                guard let scalar = Unicode.Scalar(point) else { throw JSONError("an unpaired surrogate", at: index) }
                result += String(scalar).utf8
            }
        }
        throw JSONError(index < text.count ? "a control character in a string" : "the end inside a string", at: index)
    }

    private static func codeUnit(_ text: [UInt8], at index: inout Int) throws(JSONError) -> UInt32 {
        let digits = text[min(index, text.count)...].prefix(5)
        guard digits.count == 5, digits.first == UInt8(ascii: "u"), digits[index + 1] != UInt8(ascii: "+"),
            let unit = UInt32(String(decoding: digits.dropFirst(), as: UTF8.self), radix: 16)
        else { throw JSONError("a bad escape in a string", at: index) }
        index += 5
        return unit
    }
}
