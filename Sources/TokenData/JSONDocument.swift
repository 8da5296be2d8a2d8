/// A small strict JSON reader for tokenizer files.
///
/// RFC 8259 to the letter: no trailing commas, comments, byte-order mark, unpaired surrogates or invalid UTF-8. Text is
/// kept as bytes, so that canonically equal strings stay different. Values lie in one flat list (no tree, no
/// recursion over objects' members), so big vocabularies cost little.
struct JSONDocument {
    enum Kind: UInt8 { case null, boolean, number, string, array, object }

    /// One value: where it stands in the text and which node follows it and everything inside it.
    struct Node {
        var kind: Kind
        var hasEscapes = false
        var start: Int32
        var end: Int32
        var next: Int32 = 0
    }

    static let maximumDepth = 64
    static let maximumNodes = 1 << 24

    let text: [UInt8]
    private(set) var nodes: [Node] = []

    /// What is wrong with a text, and where.
    struct Failure: Error { let reason: String, offset: Int }

    /// Reads a whole text; node 0 is its value.
    init(_ text: [UInt8]) throws(Failure) {
        self.text = text
        guard text.count < Int(Int32.max) else { throw Failure(reason: "is longer than 2 GiB", offset: 0) }
        var parser = JSONParser(text: text)
        try parser.parseDocument()
        nodes = parser.nodes
    }

    /// The nodes of an array's elements, or of an object's keys and values in turn.
    func children(_ index: Int) -> [Int] {
        var result: [Int] = []
        var child = index + 1
        while child < Int(nodes[index].next) {
            result.append(child)
            child = Int(nodes[child].next)
        }
        return result
    }

    /// The value of an object's member, or nil when the object lacks it or holds null. A repeated name is an error.
    func member(_ name: String, of index: Int) throws(Failure) -> Int? {
        guard nodes[index].kind == .object else { return nil }
        var found: Int?
        var key = index + 1
        while key < Int(nodes[index].next) {
            let value = Int(nodes[key].next)
            if string(key) == Array(name.utf8) {
                if found != nil { throw Failure(reason: "has \"\(name)\" twice", offset: Int(nodes[key].start)) }
                found = value
            }
            key = Int(nodes[value].next)
        }
        if let found, nodes[found].kind == .null { return nil }
        return found
    }

    /// A string's bytes with its escapes resolved; empty for other values.
    func string(_ index: Int) -> [UInt8] {
        let node = nodes[index]
        guard node.kind == .string else { return [] }
        let raw = text[Int(node.start)..<Int(node.end)]
        return node.hasEscapes ? JSONParser.unescape(raw) : Array(raw)
    }

    /// A number written as a whole number that is not negative, or nil.
    func wholeNumber(_ index: Int) -> Int? {
        let node = nodes[index]
        guard node.kind == .number else { return nil }
        var value = 0
        for byte in text[Int(node.start)..<Int(node.end)] {
            guard (0x30...0x39).contains(byte), value <= Int(Int32.max) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    /// A boolean, or nil.
    func boolean(_ index: Int) -> Bool? {
        nodes[index].kind == .boolean ? text[Int(nodes[index].start)] == UInt8(ascii: "t") : nil
    }
}
