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
    private let index: Int
    private var node: Node { nodes[index] }

    package var kind: Kind { node.kind }

    /// The value as it stands in the text.
    private var text: ArraySlice<UInt8> { document[Int(node.start)..<Int(node.end)] }

    /// The value as it stands in the text, cut after 80 characters, for messages.
    package var source: String { printable(String(decoding: text, as: UTF8.self), limit: 80) }

    /// The value of a member, or nil where there is none of that name.
    package subscript(name: String) -> JSON? { members?.first { $0.name.elementsEqual(name.utf8) }?.value }

    /// The members of an object in their order, or nil.
    package var members: [(name: [UInt8], value: JSON)]? {
        guard kind == .object else { return nil }
        let items = children
        return stride(from: 0, to: items.count, by: 2).map { (items[$0].bytes ?? [], items[$0 + 1]) }
    }

    /// The elements of an array, or nil.
    package var elements: [JSON]? { kind == .array ? children : nil }

    private var children: [JSON] {
        sequence(first: index + 1) { Int(nodes[$0].next) }.prefix { $0 < Int(node.next) }
            .map { JSON(document: document, nodes: nodes, index: $0) }
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

extension JSON {
    /// Reads a text that is one value, with blanks around it allowed.
    package init(_ text: [UInt8], sizeLimit: Int = 64 << 20) throws(JSONError) {
        guard text.count <= min(sizeLimit, Int(Int32.max)) else {
            throw JSONError("\(text.count) bytes of JSON, expected at most \(sizeLimit)")
        }
        if InputFile.isLFSPointer(text) { throw JSONError(InputFile.lfsAdvice) }
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { throw JSONError("a byte-order mark before the JSON; remove it") }
        if let place = firstBrokenUTF8(text) { throw JSONError("invalid UTF-8", at: place) }
        var parser = JSONParser(text)
        try parser.parse()
        self.init(document: text, nodes: parser.nodes, index: 0)
    }

    /// What `read` makes of a member; a `JSONError` of its own gets the member's name before it.
    /// - Throws: `JSONError` naming the member, what it holds and what was expected.
    package func member<Value>(_ name: String, _ expected: String, _ read: (JSON) throws -> Value?) throws -> Value {
        guard kind == .object else { throw JSONError("\(kind.rawValue), expected an object") }
        guard let member = self[name] else { throw JSONError("\(name) is missing, expected \(expected)") }
        do {
            if let value = try read(member) { return value }
        } catch let error as JSONError {
            throw JSONError("\(name).\(error)")
        }
        throw JSONError("\(name) is \(member.source), expected \(expected)")
    }

    /// The same for a member that may be missing or null: nil then.
    package func optional<Value>(_ name: String, _ expected: String, _ read: (JSON) throws -> Value?) throws -> Value? {
        if kind == .object, self[name].map({ $0.kind == .null }) ?? true { return nil }
        return try member(name, expected, read)
    }

    package func int(_ name: String) throws -> Int { try member(name, "a whole number") { $0.int } }
    package func number(_ name: String) throws -> Double { try member(name, "a number") { $0.number } }
    package func string(_ name: String) throws -> String { try member(name, "a string") { $0.string } }

    /// What `read` makes of a member that is an object.
    package func nested<Value>(_ name: String, _ read: (JSON) throws -> Value) throws -> Value {
        try member(name, "an object") { $0.kind == .object ? try read($0) : nil }
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
