extension JSONValue {
    /// The JSON of a `Codable` value, members in the order in which the type encodes them.
    public static func encoding(_ value: some Encodable) throws -> JSONValue {
        let node = JSONNode()
        try value.encode(to: JSONValueEncoder(node: node, codingPath: []))
        return node.value
    }
}

/// A place in the tree under construction. A class, since `Encoder` hands out containers that outlive a call.
private final class JSONNode {
    private enum Content {
        case value(JSONValue)
        case array([JSONNode])
        case object([(String, JSONNode)])
    }
    private var content = Content.value(.null)

    var value: JSONValue {
        switch content {
        case .value(let value): return value
        case .array(let nodes): return .array(nodes.map(\.value))
        case .object(let members):
            var object = JSONObject()
            for (name, node) in members { object.append(name, node.value) }
            return .object(object)
        }
    }

    var count: Int {
        if case .array(let nodes) = content { return nodes.count }
        return 0
    }

    func set(_ value: JSONValue) { content = .value(value) }

    func becomeObject() {
        if case .object = content { return }
        content = .object([])
    }

    func becomeArray() {
        if case .array = content { return }
        content = .array([])
    }

    func member(_ name: String) -> JSONNode {
        let node = JSONNode()
        guard case .object(var members) = content else { return node }
        members.append((name, node))
        content = .object(members)
        return node
    }

    func element() -> JSONNode {
        let node = JSONNode()
        guard case .array(var nodes) = content else { return node }
        nodes.append(node)
        content = .array(nodes)
        return node
    }
}

private struct JSONValueEncoder: Encoder {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(KeyedWriter<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return ListWriter(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        ValueWriter(node: node, codingPath: codingPath)
    }
}

/// Writes one value into a node: the only place that knows the kinds of plain values.
private struct ValueWriter: SingleValueEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.set(.null) }

    func encode(_ value: some Encodable) throws {
        switch value {
        case let value as Bool: node.set(.bool(value))
        case let value as String: node.set(.string(value))
        case let value as Double: node.set(.double(value))
        case let value as Float: node.set(.double(Double("\(value)") ?? Double(value)))
        case let value as any BinaryInteger:
            if let small = Int64(exactly: value) {
                node.set(.integer(small))
            } else if let large = UInt64(exactly: value) {
                node.set(.unsigned(large))
            } else {
                throw EncodingError.invalidValue(
                    value, .init(codingPath: codingPath, debugDescription: "a whole number above 64 bits"))
            }
        default: try value.encode(to: JSONValueEncoder(node: node, codingPath: codingPath))
        }
    }
}

private struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.member(key.stringValue).set(.null) }

    func encode(_ value: some Encodable, forKey key: Key) throws {
        try ValueWriter(node: node.member(key.stringValue), codingPath: codingPath + [key]).encode(value)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        superEncoder(forKey: key).container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        superEncoder(forKey: key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder {
        JSONValueEncoder(node: node.member("super"), codingPath: codingPath)
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        JSONValueEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct ListWriter: UnkeyedEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }

    func encodeNil() { node.element().set(.null) }

    func encode(_ value: some Encodable) throws {
        try ValueWriter(node: node.element(), codingPath: codingPath).encode(value)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        superEncoder().container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { superEncoder().unkeyedContainer() }

    func superEncoder() -> any Encoder { JSONValueEncoder(node: node.element(), codingPath: codingPath) }
}
