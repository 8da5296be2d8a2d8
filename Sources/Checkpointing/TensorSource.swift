/// The element types of the safetensors format. Raw values are the format's own names.
package enum TensorDataType: String, CaseIterable, Sendable {
    // In the format's order of alignment, low to high: the writer sorts by it.
    case bool = "BOOL"
    case f4 = "F4"
    case f6e2m3 = "F6_E2M3"
    case f6e3m2 = "F6_E3M2"
    case u8 = "U8"
    case i8 = "I8"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case f8e8m0 = "F8_E8M0"
    case f8e4m3fnuz = "F8_E4M3FNUZ"
    case f8e5m2fnuz = "F8_E5M2FNUZ"
    case i16 = "I16"
    case u16 = "U16"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
    case u32 = "U32"
    case f32 = "F32"
    case c64 = "C64"
    case f64 = "F64"
    case i64 = "I64"
    case u64 = "U64"

    /// Bits of one element.
    package var bitCount: Int {
        switch self {
        case .f4: 4
        case .f6e2m3, .f6e3m2: 6
        case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
        case .i16, .u16, .f16, .bf16: 16
        case .i32, .u32, .f32: 32
        case .c64, .f64, .i64, .u64: 64
        }
    }

    /// The place in the format's order of alignment.
    var alignmentRank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// Bytes of a tensor of this shape; nil when that overflows, is no whole number, or a dimension is negative.
    package func byteCount(shape: [Int]) -> Int? {
        // A dimension of 0 makes the tensor empty even when the product of the others would overflow.
        var bits = bitCount
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            bits = product
        }
        return bits % 8 == 0 ? bits / 8 : nil
    }
}

/// A tensor to be written: what it is called and how to get at its bytes when their turn comes.
package struct TensorSource {
    /// The name in the file.
    package let name: String
    /// The element type of the bytes.
    package let dataType: TensorDataType
    /// The dimensions; empty for a scalar.
    package let shape: [Int]
    /// Calls its argument with the bytes, little-endian and row-major, in one piece or in several in order.
    package let withBytes: (_ body: (RawSpan) throws -> Void) throws -> Void

    package init(
        name: String, dataType: TensorDataType = .f32, shape: [Int],
        withBytes: @escaping (_ body: (RawSpan) throws -> Void) throws -> Void
    ) {
        self.name = name
        self.dataType = dataType
        self.shape = shape
        self.withBytes = withBytes
    }
}
