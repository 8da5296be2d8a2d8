/// Writes safetensors files as the format's reference writer does: the widest element types first, then by name,
/// names' order being that of their bytes; the header padded so that the data starts at a multiple of 8.
public enum SafetensorsWriter {
    /// The tensors in the order of the file.
    static func ordered(_ tensors: [TensorSource]) -> [TensorSource] {
        tensors.sorted { left, right in
            let ranks = (left.dataType.alignmentRank, right.dataType.alignmentRank)
            return ranks.0 != ranks.1 ? ranks.0 > ranks.1 : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
    }

    /// The first bytes of the file: length, header, padding. `tensors` in the order of the file.
    static func head(_ tensors: [TensorSource], metadata: [String: String]) throws(CheckpointError) -> [UInt8] {
        var header = JSONObject()
        if !metadata.isEmpty {
            var texts = JSONObject()
            for (name, text) in metadata.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                texts.append(name, .string(text))
            }
            header.append("__metadata__", .object(texts))
        }
        var end = 0
        for tensor in tensors {
            guard let size = tensor.dataType.byteCount(shape: tensor.shape), end <= Int.max - size else {
                throw CheckpointError(
                    .notCommitted, "tensor \(quoted(tensor.name)) has the impossible shape \(tensor.shape)")
            }
            var entry = JSONObject()
            entry.append("dtype", .string(tensor.dataType.rawValue))
            entry.append("shape", .array(tensor.shape.map { .integer(Int64($0)) }))
            entry.append("data_offsets", .array([.integer(Int64(end)), .integer(Int64(end + size))]))
            guard header.append(tensor.name, .object(entry)) else {
                throw CheckpointError(.notCommitted, "two tensors are called \(quoted(tensor.name))")
            }
            end += size
        }
        var json = JSONValue.object(header).bytes()
        json += repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        let length = (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) }
        return length + json
    }

    /// Hands the whole file, piece by piece, to `sink`; no tensor is copied.
    ///
    /// - Parameter metadata: further texts for `__metadata__`, which always holds `"format": "pt"`.
    public static func write(
        _ tensors: [TensorSource], metadata: [String: String] = [:], to sink: (RawSpan) throws -> Void
    ) throws {
        let ordered = ordered(tensors)
        let texts = metadata.merging(["format": "pt"]) { _, new in new }
        let head = try head(ordered, metadata: texts)
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
                throw CheckpointError(
                    .notCommitted,
                    "tensor \(quoted(tensor.name)) gave \(written) bytes, expected \(expected) for its shape")
            }
        }
    }

    /// Bytes of the file that `write` makes.
    public static func fileSize(_ tensors: [TensorSource], metadata: [String: String] = [:]) throws(CheckpointError)
        -> Int
    {
        let texts = metadata.merging(["format": "pt"]) { _, new in new }
        let data = tensors.reduce(0) { $0 + ($1.dataType.byteCount(shape: $1.shape) ?? 0) }
        return try head(ordered(tensors), metadata: texts).count + data
    }
}
