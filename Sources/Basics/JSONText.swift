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
    package static func string(_ value: String) -> JSONText { string(value.utf8) }

    /// The shortest form that reads back to the same number; null for one that is not finite, which JSON cannot hold.
    package static func number(_ value: Double) -> JSONText { JSONText(text: value.isFinite ? "\(value)" : "null") }

    /// A string of these bytes of UTF-8, with the few escapes that JSON demands.
    package static func string(_ bytes: some Sequence<UInt8>) -> JSONText {
        var result: [UInt8] = [0x22]
        for byte in bytes {
            if let place = Array("\"\\\u{8}\t\n\u{C}\r".utf8).firstIndex(of: byte) {
                result += [0x5C, Array("\"\\btnfr".utf8)[place]]
            } else if byte < 0x20 {
                result += "\\u00\(hexadecimal(byte))".utf8
            } else {
                result.append(byte)
            }
        }
        return JSONText(text: String(decoding: result + [0x22], as: UTF8.self))
    }

    package static func array(_ elements: some Sequence<JSONText>) -> JSONText {
        JSONText(text: "[" + elements.map(\.text).joined(separator: ",") + "]")
    }

    /// An object with its members in this order.
    package static func object(_ members: some Sequence<(String, JSONText)>) -> JSONText {
        JSONText(text: "{" + members.map { string($0).text + ":" + $1.text }.joined(separator: ",") + "}")
    }

    /// The same value as Hugging Face writes it: a line a member or element, two blanks a level, no newline at the end.
    package var pretty: [UInt8] {
        var result: [UInt8] = []
        var level = 0
        var (isInString, isEscaped, hasOpened) = (false, false, false)
        func breakLine() { result += [0x0A] + repeatElement(0x20, count: 2 * level) }
        for byte in text.utf8 {
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
