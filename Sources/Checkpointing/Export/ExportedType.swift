import Basics

/// What the weights of an exported model are stored in. Raw values are the words of `--dtype`.
package enum ExportedType: String, CaseIterable, Sendable {
    case fp32, bf16, f16

    /// The element type in safetensors' terms.
    package var dataType: TensorDataType {
        switch self {
        case .fp32: .f32
        case .bf16: .bf16
        case .f16: .f16
        }
    }

    /// PyTorch's name, which `config.json` has.
    package var torchName: String {
        switch self {
        case .fp32: "float32"
        case .bf16: "bfloat16"
        case .f16: "float16"
        }
    }

    /// Hands values over, rounded to the nearest and to even where two are as near, in pieces in order.
    ///
    /// - Parameter tensor: what they are, for the error.
    /// - Throws: `ExitError` (65) for a value that would become infinite; what `body` throws.
    func withBytes(of values: Span<Float>, tensor: String, _ body: (RawSpan) throws -> Void) throws {
        switch self {
        case .fp32: try body(values.bytes)
        // Subnormal numbers stay, as in PyTorch: this is for files, not for kernels.
        case .bf16:
            try narrow(values, tensor, infinity: 0x7F80, body) { value in
                let bits = value.bitPattern
                return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
            }
        case .f16: try narrow(values, tensor, infinity: 0x7C00, body) { Float16($0).bitPattern }
        }
    }

    private func narrow(
        _ values: Span<Float>, _ tensor: String, infinity: UInt16, _ body: (RawSpan) throws -> Void,
        _ round: (Float) -> UInt16
    ) throws {
        var buffer = [UInt16](repeating: 0, count: min(max(values.count, 1), 1 << 18))
        var done = 0
        while done < values.count {
            let count = min(buffer.count, values.count - done)
            for index in 0..<count {
                let bits = round(values[done + index])
                guard bits & infinity != infinity else {
                    throw ExitError(
                        .badInput,
                        "tensor \(quoted(tensor)) has \(values[done + index]) at place \(done + index), which is more "
                            + "than \(rawValue) can hold; export with --dtype \(self == .f16 ? "bf16 or fp32" : "fp32")"
                    )
                }
                buffer[index] = bits
            }
            try body(buffer.span.bytes.extracting(0..<2 * count))
            done += count
        }
    }
}
