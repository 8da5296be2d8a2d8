/// JSON to be written: the text of a value, without blanks. The only place that quotes and indents.
package struct JSONText: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral {
    /// The text.
    package let text: String

    private init(text: String) { self.text = text }

    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = JSONText(text: "null") }

    package static func bool(_ value: Bool) -> JSONText { JSONText(text: "\(value)") }
    package static func number(_ value: some BinaryInteger) -> JSONText { JSONText(text: "\(value)") }

    /// The shortest form that reads back to the same number; null for one that is not finite, which JSON cannot hold.
    package static func number(_ value: Double) -> JSONText { JSONText(text: value.isFinite ? "\(value)" : "null") }

    package static func string(_ value: String) -> JSONText { string(value.utf8) }

    /// A string of these bytes of UTF-8, with the few escapes that JSON demands.
    package static func string(_ bytes: some Sequence<UInt8>) -> JSONText {
        var result: [UInt8] = [0x22]
        for byte in bytes {
            switch byte {
            case 0x22, 0x5C: result += [0x5C, byte]
            case 0x08: result += "\\b".utf8
            case 0x09: result += "\\t".utf8
            case 0x0A: result += "\\n".utf8
            case 0x0C: result += "\\f".utf8
            case 0x0D: result += "\\r".utf8
            case 0..<0x20: result += "\\u00\(hexadecimal(byte))".utf8
            default: result.append(byte)
            }
        }
        result.append(0x22)
        return JSONText(text: String(decoding: result, as: UTF8.self))
    }

    package static func array(_ elements: some Sequence<JSONText>) -> JSONText {
        JSONText(text: "[" + elements.map(\.text).joined(separator: ",") + "]")
    }

    /// An object with its members in this order.
    package static func object(_ members: some Sequence<(String, JSONText)>) -> JSONText {
        JSONText(text: "{" + members.map { string($0).text + ":" + $1.text }.joined(separator: ",") + "}")
    }

    /// The UTF-8 of the text.
    package var bytes: [UInt8] { Array(text.utf8) }

    /// The same value as Hugging Face writes it: a line a member or element, two blanks a level, no newline at the end.
    package var pretty: [UInt8] { Self.pretty(text.utf8) }

    /// Lays out the text of a value that has no blanks.
    package static func pretty(_ compact: some Sequence<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var level = 0
        var (isInString, isEscaped, hasOpened) = (false, false, false)
        func breakLine() { result += [0x0A] + repeatElement(0x20, count: 2 * level) }
        for byte in compact {
            if isInString {
                isInString = byte != 0x22 || isEscaped
                isEscaped = byte == 0x5C && !isEscaped
                result.append(byte)
                continue
            }
            let closes = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
            if closes { level -= 1 }
            if closes != hasOpened { breakLine() }
            hasOpened = byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[")
            if hasOpened { level += 1 }
            isInString = byte == 0x22
            result.append(byte)
            if byte == UInt8(ascii: ",") { breakLine() }
            if byte == UInt8(ascii: ":") { result.append(0x20) }
        }
        return result
    }
}
