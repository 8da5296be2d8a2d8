extension JSONValue {
    /// A `Codable` value made from this JSON. A missing member, a wrong kind and whatever the type's own initializer
    /// throws come out as they are; `JSONValue.reason(of:)` turns any of them into one line.
    public func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try ValueReader(value: self, codingPath: []).decode(type)
    }

    /// One line for an error of `decode`: which member, what it holds, what was expected.
    public static func reason(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        let (context, missing): (DecodingError.Context, String?) =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context, nil)
            case .keyNotFound(let key, let context): (context, key.stringValue)
            @unknown default: (.init(codingPath: [], debugDescription: "\(error)"), nil)
            }
        let path = (context.codingPath.map(\.stringValue) + (missing.map { [$0] } ?? [])).joined(separator: ".")
        return (path.isEmpty ? "" : path + ": ") + (missing == nil ? context.debugDescription : "missing")
    }
}

private struct JSONValueDecoder: Decoder {
    let value: JSONValue
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let object = value.object else { throw mismatch(value, "an object", codingPath) }
        return KeyedDecodingContainer(KeyedReader<Key>(object: object, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let elements = value.array else { throw mismatch(value, "an array", codingPath) }
        return ListReader(elements: elements, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        ValueReader(value: value, codingPath: codingPath)
    }
}

private func mismatch(_ value: JSONValue, _ expected: String, _ path: [any CodingKey]) -> DecodingError {
    .typeMismatch(
        JSONValue.self, .init(codingPath: path, debugDescription: "\(value.kindName), expected \(expected)"))
}

/// Reads one value: the only place that knows the kinds of plain values.
private struct ValueReader: SingleValueDecodingContainer {
    let value: JSONValue
    let codingPath: [any CodingKey]

    func decodeNil() -> Bool { value == .null }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        func checked(_ result: Any?, _ expected: String) throws -> Value {
            guard let result = result as? Value else { throw mismatch(value, expected, codingPath) }
            return result
        }
        if type == Bool.self { return try checked(value.bool, "true or false") }
        if type == String.self { return try checked(value.string, "a string") }
        if type == Double.self { return try checked(value.number, "a number") }
        if type == Float.self { return try checked(value.number.map { Float($0) }, "a number") }
        if let whole = type as? any BinaryInteger.Type {
            return try checked(integer(whole), "a whole number in the range of \(type)")
        }
        return try Value(from: JSONValueDecoder(value: value, codingPath: codingPath))
    }

    private func integer<Whole: BinaryInteger>(_ type: Whole.Type) -> Any? {
        switch value {
        case .integer(let number): Whole(exactly: number)
        case .unsigned(let number): Whole(exactly: number)
        default: nil
        }
    }
}

private struct KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let object: JSONObject
    let codingPath: [any CodingKey]
    var allKeys: [Key] { object.members.compactMap { Key(stringValue: $0.name) } }

    func contains(_ key: Key) -> Bool { object[key.stringValue] != nil }

    private func member(_ key: any CodingKey) throws -> JSONValue {
        guard let value = object[key.stringValue] else {
            throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: "missing"))
        }
        return value
    }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key) == .null }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try ValueReader(value: member(key), codingPath: codingPath + [key]).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder(forKey: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try superDecoder(forKey: key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        JSONValueDecoder(value: object["super"] ?? .null, codingPath: codingPath)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        JSONValueDecoder(value: try member(key), codingPath: codingPath + [key])
    }
}

private struct ListReader: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let codingPath: [any CodingKey]
    var currentIndex = 0
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    init(elements: [JSONValue], codingPath: [any CodingKey]) {
        self.elements = elements
        self.codingPath = codingPath
    }

    private mutating func next() throws -> JSONValue {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                JSONValue.self,
                .init(codingPath: codingPath, debugDescription: "\(elements.count) elements, expected more"))
        }
        defer { currentIndex += 1 }
        return elements[currentIndex]
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, elements[currentIndex] == .null else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try ValueReader(value: next(), codingPath: codingPath).decode(type)
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try superDecoder().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        JSONValueDecoder(value: try next(), codingPath: codingPath)
    }
}
