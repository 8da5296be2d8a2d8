/// JSON to be written. The only place that quotes and indents.
package enum JSONText: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral {
    /// What is written as it stands: a number, a string in its quotes, `true`, `false` or `null`.
    case literal(String)
    case array([JSONText])
    /// An object with its members in this order.
    case object([(String, JSONText)])

    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .literal("null") }

    package static func bool(_ value: Bool) -> JSONText { .literal("\(value)") }
    package static func number(_ value: some BinaryInteger) -> JSONText { .literal("\(value)") }
    package static func string(_ value: String) -> JSONText { string(value.utf8) }

    /// The shortest form that reads back to the same number; null for one that is not finite, which JSON cannot hold.
    package static func number(_ value: Double) -> JSONText { .literal(value.isFinite ? "\(value)" : "null") }

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
        return .literal(String(decoding: result + [0x22], as: UTF8.self))
    }

    /// The text of the value, without blanks.
    package var text: String { text(level: nil) }

    /// The same value as Hugging Face writes it: a line a member or element, two blanks a level, no newline at the end.
    package var pretty: [UInt8] { Array(text(level: 0).utf8) }

    /// - Parameter level: how deep the value stands; nil for no blanks at all.
    private func text(level: Int?) -> String {
        let (open, close): (String, String)
        let parts: [String]
        let inner = level.map { $0 + 1 }
        switch self {
        case .literal(let text): return text
        case .array(let elements): (open, close, parts) = ("[", "]", elements.map { $0.text(level: inner) })
        case .object(let members):
            let colon = level == nil ? ":" : ": "
            let texts = members.map { Self.string($0).text + colon + $1.text(level: inner) }
            (open, close, parts) = ("{", "}", texts)
        }
        guard let level, !parts.isEmpty else { return open + parts.joined(separator: ",") + close }
        let line = "\n" + String(repeating: "  ", count: level)
        return open + line + "  " + parts.joined(separator: ",\(line)  ") + line + close
    }
}
