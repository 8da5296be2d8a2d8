/// A JSON value, read strictly: whole numbers keep all their digits, objects keep their order, and a name may not
/// occur twice. Made for small files that may come from anyone, so every limit is fixed and nothing traps.
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// A whole number that fits; 5.0 and 5e0 are `.double`.
    case integer(Int64)
    /// A whole number above `Int64.max`.
    case unsigned(UInt64)
    /// Any other number that is finite in Double.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// The members of a JSON object, in their order. Names are compared by their bytes: `é` written in two ways is two
/// names.
public struct JSONObject: Equatable, Sendable {
    /// Names and values in the order of the file.
    public private(set) var members: [(name: String, value: JSONValue)] = []
    private var places: [JSONName: Int] = [:]

    public init() {}

    /// The value of a member, or nil.
    public subscript(name: String) -> JSONValue? {
        guard let place = places[JSONName(name)] else { return nil }
        return members[place].value
    }

    /// Adds a member; returns false, and changes nothing, when the name is there already.
    @discardableResult
    public mutating func append(_ name: String, _ value: JSONValue) -> Bool {
        guard places.updateValue(members.count, forKey: JSONName(name)) == nil else { return false }
        members.append((name, value))
        return true
    }

    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.elementsEqual(right.members) { JSONName($0.name) == JSONName($1.name) && $0.value == $1.value }
    }
}

/// A name whose equality is that of its bytes; String's own is canonical equivalence.
struct JSONName: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: JSONName, right: JSONName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: .init($0)) }
    }
}

extension JSONValue {
    /// The value as a whole number, or nil.
    public var int: Int? {
        if case .integer(let value) = self { return Int(exactly: value) }
        return nil
    }

    /// The value as a number, or nil; whole numbers too large for Double's 53 bits are rounded.
    public var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The value as text, or nil.
    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The value as true or false, or nil.
    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The elements, or nil.
    public var array: [JSONValue]? {
        if case .array(let value) = self { return value }
        return nil
    }

    /// The members, or nil.
    public var object: JSONObject? {
        if case .object(let value) = self { return value }
        return nil
    }

    /// What kind of value it is, for messages.
    var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .unsigned: "a whole number"
        case .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Why bytes are not the JSON that was expected.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, in a few words.
    public let reason: String
    /// Where, in bytes from the start; nil when the place is named in `reason`.
    public let offset: Int?

    public init(reason: String, offset: Int? = nil) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { offset.map { "\(reason) at byte \($0)" } ?? reason }
}
