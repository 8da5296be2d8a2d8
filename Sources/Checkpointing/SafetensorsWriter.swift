import Basics

/// Writes safetensors files as the format's reference writer does: the widest element types first, then by name,
/// names' order being that of their bytes; the header padded so that the data starts at a multiple of 8.
package enum SafetensorsWriter {
    /// The tensors in the order of the file.
    static func ordered(_ tensors: [TensorSource]) -> [TensorSource] {
        tensors.sorted { left, right in
            let ranks = (left.dataType.alignmentRank, right.dataType.alignmentRank)
            return ranks.0 != ranks.1 ? ranks.0 > ranks.1 : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
    }

    /// The first bytes of the file: length, header, padding. `tensors` in the order of the file.
    static func head(_ tensors: [TensorSource]) throws -> [UInt8] {
        var header = [("__metadata__", JSONText.object([("format", "pt")]))]
        var names: Set<[UInt8]> = []
        var end = 0
        for tensor in tensors {
            guard let size = tensor.dataType.byteCount(shape: tensor.shape), end <= Int.max - size else {
                throw ExitError(
                    .writeFailed, "tensor \(quoted(tensor.name)) has the impossible shape \(tensor.shape)")
            }
            guard names.insert(Array(tensor.name.utf8)).inserted else {
                throw ExitError(.writeFailed, "two tensors are called \(quoted(tensor.name))")
            }
            header.append(
                (
                    tensor.name,
                    .object([
                        ("dtype", .string(tensor.dataType.rawValue)),
                        ("shape", .array(tensor.shape.map { .number($0) })),
                        ("data_offsets", .array([.number(end), .number(end + size)])),
                    ])
                ))
            end += size
        }
        var json = Array(JSONText.object(header).text.utf8)
        json += repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        return littleEndian(json.count, 8) + json
    }

    /// Hands the whole file, piece by piece, to `sink`; no tensor is copied. `__metadata__` holds `"format": "pt"`.
    package static func write(_ tensors: [TensorSource], to sink: (RawSpan) throws -> Void) throws {
        let ordered = ordered(tensors)
        let head = try head(ordered)
        try sink(head.span.bytes)
        for tensor in ordered {
            let expected = tensor.dataType.byteCount(shape: tensor.shape) ?? 0
            var written = 0
            try tensor.withBytes { bytes in
                written += bytes.byteCount
                guard written <= expected else { return }
                try sink(bytes)
            }
            guard written == expected else {
                throw ExitError(
                    .writeFailed,
                    "tensor \(quoted(tensor.name)) gave \(written) bytes, expected \(expected) for its shape")
            }
        }
    }

    /// Bytes of the file that `write` makes.
    package static func fileSize(_ tensors: [TensorSource]) throws -> Int {
        try head(ordered(tensors)).count + tensors.reduce(0) { $0 + ($1.dataType.byteCount(shape: $1.shape) ?? 0) }
    }
}
