import Basics

/// One tensor of a safetensors file.
package struct TensorEntry: Equatable, Sendable {
    package let name: String
    package let dataType: TensorDataType
    /// The dimensions; empty for a scalar.
    package let shape: [Int]
    /// The bytes, counted from the start of the data.
    package let range: Range<Int>

    /// How many elements it has.
    package var elementCount: Int { shape.reduce(1, *) }
}

/// The header of a safetensors file: read strictly, and written as the format's reference writer writes it.
package struct SafetensorsHeader: Equatable, Sendable {
    /// The tensors in the order of their data.
    package let tensors: [TensorEntry]
    /// The free texts of `__metadata__`.
    package let metadata: [String: String]

    /// Limits of ours; the format itself allows a header of 100 MB and anything inside.
    package static let sizeLimit = 16 << 20
    static let tensorLimit = 100_000
    static let rankLimit = 32
    static let nameLimit = 512

    /// Reads the header's JSON and checks that the tensors fill `dataSize` bytes exactly, without hole or overlap.
    /// Throws a reason that names the tensor; it never traps, whatever the bytes are.
    package init(json: [UInt8], dataSize: Int) throws(JSONError) {
        guard let members = try JSON(json, sizeLimit: Self.sizeLimit).members else {
            throw JSONError("the header is not a JSON object")
        }
        guard members.count <= Self.tensorLimit else {
            throw JSONError("\(members.count) tensors, expected at most \(Self.tensorLimit)")
        }
        var tensors: [TensorEntry] = []
        var metadata: [String: String] = [:]
        for (bytes, value) in members {
            let name = String(decoding: bytes, as: UTF8.self)
            if name == "__metadata__" {
                metadata = try Self.metadata(value)
            } else {
                tensors.append(try Self.entry(name, value))
            }
        }
        tensors.sort {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }
        var end = 0
        for tensor in tensors {
            guard tensor.range.lowerBound == end else {
                throw JSONError(
                    "tensor \(quoted(tensor.name)) starts at \(tensor.range.lowerBound), expected \(end)")
            }
            end = tensor.range.upperBound
        }
        guard end == dataSize else {
            throw JSONError("the tensors take \(end) bytes, but \(dataSize) bytes of data are there")
        }
        self.tensors = tensors
        self.metadata = metadata
    }

    private static func metadata(_ value: JSON) throws(JSONError) -> [String: String] {
        if value.kind == .null { return [:] }
        guard let members = value.members else { throw JSONError("__metadata__ is \(value.kind.rawValue)") }
        var result: [String: String] = [:]
        for (bytes, value) in members {
            let name = String(decoding: bytes, as: UTF8.self)
            guard let text = value.string else {
                throw JSONError("__metadata__ \(quoted(name)) is \(value.kind.rawValue), expected a string")
            }
            result[name] = text
        }
        return result
    }

    private static func entry(_ name: String, _ value: JSON) throws(JSONError) -> TensorEntry {
        func fail(_ what: String) -> JSONError { JSONError("tensor \(quoted(name)): \(what)") }
        guard !name.isEmpty, name.utf8.count <= nameLimit, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else { throw fail("a name of 1 to \(nameLimit) bytes without control characters is expected") }
        guard value.kind == .object else { throw fail("\(value.kind.rawValue), expected an object") }
        guard let typeName = value["dtype"]?.string else { throw fail("dtype is missing or not a string") }
        guard let dataType = TensorDataType(rawValue: typeName) else { throw fail("unknown dtype \(quoted(typeName))") }
        guard let dimensions = value["shape"]?.elements, dimensions.count <= rankLimit else {
            throw fail("shape must be an array of at most \(rankLimit) numbers")
        }
        let shape = dimensions.compactMap(\.int).filter { $0 >= 0 }
        guard shape.count == dimensions.count else { throw fail("a dimension is not a whole number of 0 or more") }
        guard let offsets = value["data_offsets"]?.elements, offsets.count == 2, let begin = offsets[0].int,
            let end = offsets[1].int, begin >= 0, end >= begin
        else { throw fail("data_offsets must be two whole numbers, the second not below the first") }
        guard let size = dataType.byteCount(shape: shape) else {
            throw fail("shape \(shape) of \(typeName) is no number of bytes that can be")
        }
        guard end - begin == size else {
            throw fail("data_offsets span \(end - begin) bytes, expected \(size) for shape \(shape) of \(typeName)")
        }
        return TensorEntry(name: name, dataType: dataType, shape: shape, range: begin..<end)
    }
}
