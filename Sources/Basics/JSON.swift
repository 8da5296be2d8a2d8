/// A value of a JSON text, read strictly and made for files that may come from anyone: RFC 8259 to the letter, no name
/// twice in an object, no number beyond Double, at most 64 levels, and nothing traps.
///
/// Values lie in one flat list, so that a vocabulary of 100,000 tokens costs little. Text is bytes, and names are
/// compared by them: `é` written in two ways is two names.
package struct JSON: Sendable {
    /// The kinds of values. Raw values are the words of messages.
    package enum Kind: String, Sendable {
        case null
        case boolean = "true or false"
        case number = "a number"
        case string = "a string"
        case array = "an array"
        case object = "an object"
    }

    /// One value: where it stands in the text, and the number of the first one that lies outside it.
    struct Node {
        let kind: Kind
        let start: Int32
        var end: Int32
        var next: Int32
    }

    private let document: [UInt8]
    private let nodes: [Node]
    private var index = 0
    private var node: Node { nodes[index] }

    /// Reads a text that is one value, with blanks around it allowed.
    package init(_ text: [UInt8], sizeLimit: Int = 64 << 20) throws(JSONError) {
        guard text.count <= min(sizeLimit, Int(Int32.max)) else {
            throw JSONError("\(text.count) bytes of JSON, expected at most \(sizeLimit)")
        }
        if InputFile.isLFSPointer(text) { throw JSONError(InputFile.lfsAdvice) }
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { throw JSONError("a byte-order mark before the JSON; remove it") }
        do {
            _ = try UTF8Span(validating: text.span)
        } catch {
            throw JSONError("invalid UTF-8", at: error.byteOffsets.lowerBound)
        }
        var parser = JSONParser(text)
        try parser.parse()
        (document, nodes) = (text, parser.nodes)
    }

    private func value(_ index: Int) -> JSON {
        var value = self
        value.index = index
        return value
    }

    package var kind: Kind { node.kind }

    /// The value as it stands in the text.
    private var text: ArraySlice<UInt8> { document[Int(node.start)..<Int(node.end)] }

    /// The value as it stands in the text, cut after 80 characters, for messages.
    package var source: String { printable(String(decoding: text, as: UTF8.self), limit: 80) }

    /// The value of a member, or nil where there is none of that name.
    package subscript(name: String) -> JSON? {
        guard kind == .object else { return nil }
        var key = index + 1
        while key < Int(node.next) {
            if value(key).isString(name) { return value(key + 1) }
            key = Int(nodes[key + 1].next)
        }
        return nil
    }

    /// The members of an object in their order, or nil.
    package var members: [(name: [UInt8], value: JSON)]? {
        guard kind == .object else { return nil }
        let items = children
        return stride(from: 0, to: items.count, by: 2).map { (items[$0].bytes ?? [], items[$0 + 1]) }
    }

    /// The elements of an array, or nil.
    package var elements: [JSON]? { kind == .array ? children : nil }

    private var children: [JSON] {
        var result: [JSON] = []
        var child = index + 1
        while child < Int(node.next) {
            result.append(value(child))
            child = Int(nodes[child].next)
        }
        return result
    }

    /// A string's bytes, or nil.
    package var bytes: [UInt8]? {
        var start = Int(node.start)
        return kind == .string ? try? JSONParser.string(document, at: &start) : nil
    }

    /// A string, or nil.
    package var string: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// Whether it is this string.
    package func isString(_ expected: String) -> Bool { bytes?.elementsEqual(expected.utf8) ?? false }

    /// True or false, or nil.
    package var bool: Bool? { kind == .boolean ? text.first == UInt8(ascii: "t") : nil }

    /// A number, or nil; a whole one beyond 53 bits is rounded.
    package var number: Double? { kind == .number ? Double(String(decoding: text, as: UTF8.self)) : nil }

    /// A number that is written as a whole one and fits, or nil: 5.0 and 5e0 are none.
    package var int: Int? { integer() }

    /// A number that is written as a whole one and fits the type, or nil.
    package func integer<Whole: FixedWidthInteger>(_ type: Whole.Type = Whole.self) -> Whole? {
        kind == .number && text.count <= 20 ? Whole(String(decoding: text, as: UTF8.self)) : nil
    }
}

/// Why bytes are not the JSON that was expected.
package struct JSONError: ExitCoded, Equatable {
    /// What is wrong, in a few words, and where, in bytes from the start.
    package let description: String
    package var exitCode: ExitCode { .badInput }

    package init(_ reason: String, at offset: Int? = nil) {
        description = offset.map { "\(reason) at byte \($0)" } ?? reason
    }
}
