extension JSON {
    /// What `read` makes of a member.
    /// - Throws: `JSONError` naming the member, what it holds and what was expected.
    package func member<Value>(
        _ name: String, _ expected: String, _ read: (JSON) -> Value?
    ) throws(JSONError) -> Value {
        guard kind == .object else { throw JSONError("\(kind.rawValue), expected an object") }
        guard let member = self[name] else { throw JSONError("\(name) is missing, expected \(expected)") }
        guard let value = read(member) else { throw JSONError("\(name) is \(member.source), expected \(expected)") }
        return value
    }

    /// The same for a member that may be missing or null: nil then.
    package func optional<Value>(
        _ name: String, _ expected: String, _ read: (JSON) -> Value?
    ) throws(JSONError) -> Value? {
        if kind == .object, self[name].map({ $0.kind == .null }) ?? true { return nil }
        return try member(name, expected, read)
    }

    package func int(_ name: String) throws(JSONError) -> Int { try member(name, "a whole number") { $0.int } }
    package func number(_ name: String) throws(JSONError) -> Double { try member(name, "a number") { $0.number } }
    package func string(_ name: String) throws(JSONError) -> String { try member(name, "a string") { $0.string } }
    package func bool(_ name: String) throws(JSONError) -> Bool { try member(name, "true or false") { $0.bool } }

    /// What `read` makes of a member that is an object; its `JSONError` gets the member's name before its own.
    package func nested<Value>(_ name: String, _ read: (JSON) throws -> Value) throws -> Value {
        let inner = try member(name, "an object") { $0.kind == .object ? $0 : nil }
        do {
            return try read(inner)
        } catch let error as JSONError {
            throw JSONError("\(name).\(error)")
        }
    }
}
