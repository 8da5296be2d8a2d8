import Basics

/// A value of GGUF's metadata.
package enum GGUFValue {
    case uint32(Int)
    case float32(Float)
    case bool(Bool)
    case string([UInt8])
    case int32s([Int32])
    case strings([[UInt8]])

    package static func text(_ value: String) -> GGUFValue { .string(Array(value.utf8)) }

    /// The value's type by the format's number, and its bytes.
    fileprivate var bytes: [UInt8] {
        func element(_ bytes: [UInt8]) -> [UInt8] { littleEndian(bytes.count, 8) + bytes }
        func array(_ type: Int, _ count: Int) -> [UInt8] {
            littleEndian(9, 4) + littleEndian(type, 4) + littleEndian(count, 8)
        }
        switch self {
        case .uint32(let value): return littleEndian(4, 4) + littleEndian(value, 4)
        case .float32(let value): return littleEndian(6, 4) + littleEndian(Int(value.bitPattern), 4)
        case .bool(let value): return littleEndian(7, 4) + [value ? 1 : 0]
        case .string(let value): return littleEndian(8, 4) + element(value)
        case .int32s(let values): return array(5, values.count) + values.flatMap { littleEndian(Int($0), 4) }
        case .strings(let values): return array(8, values.count) + values.flatMap(element)
        }
    }
}

/// A GGUF file to be written: version 3, little-endian, tensors on multiples of 32 bytes. Source: ggml's `docs/gguf.md`.
package struct GGUFFile {
    package typealias Key = (name: String, value: GGUFValue)

    package var keys: [Key]
    /// In the order of the file; F32, F16 or BF16.
    package var tensors: [TensorSource]

    private static let alignment = 32

    package init(keys: [Key], tensors: [TensorSource]) {
        self.keys = keys
        self.tensors = tensors
    }

    /// Hands the whole file, piece by piece, to `sink`.
    package func write(to sink: (RawSpan) throws -> Void) throws {
        try sink(head.span.bytes)
        for tensor in tensors {
            let size = Self.byteCount(tensor)
            var written = 0
            try tensor.withBytes { bytes in
                written += bytes.byteCount
                try sink(bytes)
            }
            precondition(written == size, "a tensor gives as many bytes as its shape says")
            try sink(Self.padding(after: size).span.bytes)
        }
    }

    /// All before the data: magic, version, counts, keys, the table of tensors, padding.
    private var head: [UInt8] {
        var bytes =
            Array("GGUF".utf8) + littleEndian(3, 4) + littleEndian(tensors.count, 8) + littleEndian(keys.count, 8)
        func append(name: String) { bytes += littleEndian(name.utf8.count, 8) + Array(name.utf8) }
        for key in keys {
            append(name: key.name)
            bytes += key.value.bytes
        }
        var offset = 0
        for tensor in tensors {
            append(name: tensor.name)
            bytes += littleEndian(tensor.shape.count, 4)
            // The dimension that varies fastest stands first.
            for dimension in tensor.shape.reversed() { bytes += littleEndian(dimension, 8) }
            bytes += littleEndian(Self.typeNumber(tensor.dataType), 4) + littleEndian(offset, 8)
            let size = Self.byteCount(tensor)
            offset += size + Self.padding(after: size).count
        }
        return bytes + Self.padding(after: bytes.count)
    }

    private static func padding(after count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: (alignment - count % alignment) % alignment)
    }

    private static func byteCount(_ tensor: TensorSource) -> Int {
        guard let size = tensor.dataType.byteCount(shape: tensor.shape) else {
            preconditionFailure("a tensor of a model has a size")
        }
        return size
    }

    private static func typeNumber(_ type: TensorDataType) -> Int {
        switch type {
        case .f32: 0
        case .f16: 1
        case .bf16: 30
        default: preconditionFailure("no weight is \(type.rawValue)")
        }
    }
}
