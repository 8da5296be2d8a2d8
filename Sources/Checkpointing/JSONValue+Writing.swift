extension JSONValue {
    /// The value as UTF-8 text. Numbers are written in the shortest form that reads back to the same value; a double
    /// that is not finite, which JSON cannot hold, becomes null.
    ///
    /// - Parameter pretty: two blanks a level and a newline at the end, as Hugging Face writes; else no blanks.
    public func bytes(pretty: Bool = false) -> [UInt8] {
        var output: [UInt8] = []
        write(to: &output, pretty: pretty, level: 0)
        if pretty { output.append(UInt8(ascii: "\n")) }
        return output
    }

    private func write(to output: inout [UInt8], pretty: Bool, level: Int) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .integer(let value): output += "\(value)".utf8
        case .unsigned(let value): output += "\(value)".utf8
        case .double(let value): output += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): Self.write(value, to: &output)
        case .array(let elements):
            Self.writeList(elements.count, "[", "]", to: &output, pretty: pretty, level: level) { index, output in
                elements[index].write(to: &output, pretty: pretty, level: level + 1)
            }
        case .object(let object):
            let members = object.members
            Self.writeList(members.count, "{", "}", to: &output, pretty: pretty, level: level) { index, output in
                Self.write(members[index].name, to: &output)
                output += (pretty ? ": " : ":").utf8
                members[index].value.write(to: &output, pretty: pretty, level: level + 1)
            }
        }
    }

    private static func writeList(
        _ count: Int, _ open: String, _ close: String, to output: inout [UInt8], pretty: Bool, level: Int,
        element: (Int, inout [UInt8]) -> Void
    ) {
        output += open.utf8
        for index in 0..<count {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if pretty { newLine(to: &output, level: level + 1) }
            element(index, &output)
        }
        if pretty, count > 0 { newLine(to: &output, level: level) }
        output += close.utf8
    }

    private static func newLine(to output: inout [UInt8], level: Int) {
        output.append(UInt8(ascii: "\n"))
        output += repeatElement(UInt8(ascii: " "), count: 2 * level)
    }

    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output += "\\\"".utf8
            case UInt8(ascii: "\\"): output += "\\\\".utf8
            case 0x08: output += "\\b".utf8
            case 0x09: output += "\\t".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0C: output += "\\f".utf8
            case 0x0D: output += "\\r".utf8
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                output += ("\\u00" + (digits.count == 1 ? "0" : "") + digits).utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
