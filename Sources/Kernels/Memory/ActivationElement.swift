import CInstructions

/// A type that activations and matmul operands are stored in. Arithmetic on it is always fp32.
package protocol ActivationElement: BitwiseCopyable, Sendable {
    /// The type's name in messages and files: `fp32`, `bf16`.
    static var precision: Precision { get }
    /// Rounds to nearest, ties to even; bf16, as its CPU instruction does, takes numbers below fp32's normal range
    /// (1.2e-38) as zero.
    init(rounding value: Float)
    /// The value as fp32; exact.
    var float: Float { get }
    /// Sixteen values from memory, as fp32.
    static func load16(_ source: UnsafePointer<Self>) -> SIMD16<Float>
    /// Sixteen fp32 values to memory, rounded to nearest, ties to even.
    static func store16(_ values: SIMD16<Float>, to target: UnsafeMutablePointer<Self>)
}

/// How activations and matmul operands are stored. Weights, gradients and moments are fp32 in both.
package enum Precision: String, Codable, Sendable, CaseIterable {
    case fp32
    case bf16

    /// Bytes of one element.
    package var byteCount: Int { self == .bf16 ? 2 : 4 }
}

/// The upper half of an fp32 number: 8 bits of exponent, 8 of significand.
package struct BFloat16: BitwiseCopyable, Sendable, Equatable {
    /// Sign, exponent and significand.
    package var bitPattern: UInt16

    /// The number with these bits.
    package init(bitPattern: UInt16) { self.bitPattern = bitPattern }
}

extension Float: ActivationElement {
    package static var precision: Precision { .fp32 }
    @inlinable package init(rounding value: Float) { self = value }
    @inlinable package var float: Float { self }

    @inline(__always) @inlinable
    package static func load16(_ source: UnsafePointer<Float>) -> SIMD16<Float> {
        UnsafeRawPointer(source).loadUnaligned(as: SIMD16<Float>.self)
    }

    @inline(__always) @inlinable
    package static func store16(_ values: SIMD16<Float>, to target: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(target).storeBytes(of: values, as: SIMD16<Float>.self)
    }
}

extension BFloat16: ActivationElement {
    package static var precision: Precision { .bf16 }

    package init(rounding value: Float) {
        let bits = value.bitPattern
        let upper = UInt16(bits >> 16)
        if value.isNaN {
            // Quiet; rounding could carry the payload over into an infinity or a zero.
            bitPattern = upper | 0x40
        } else if value.isSubnormal {
            bitPattern = upper & 0x8000
        } else {
            bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
        }
    }

    package var float: Float { Float(bitPattern: UInt32(bitPattern) << 16) }

    @inline(__always)
    package static func load16(_ source: UnsafePointer<BFloat16>) -> SIMD16<Float> {
        let halves = UnsafeRawPointer(source).loadUnaligned(as: SIMD16<UInt16>.self)
        return unsafeBitCast(widened(halves) &<< 16, to: SIMD16<Float>.self)
    }

    @inline(__always)
    package static func store16(_ values: SIMD16<Float>, to target: UnsafeMutablePointer<BFloat16>) {
        let halves = instructions_round_bf16(values)
        UnsafeMutableRawPointer(target).storeBytes(of: halves, as: SIMD16<UInt16>.self)
    }
}

extension ActivationElement {
    /// Up to sixteen values; those past `count` are zero.
    @inline(__always)
    static func load(_ source: UnsafePointer<Self>, count: Int) -> SIMD16<Float> {
        if count >= 16 { return load16(source) }
        var values = SIMD16<Float>()
        for i in 0..<count { values[i] = source[i].float }
        return values
    }

    /// Up to sixteen values; memory past `count` is left alone.
    @inline(__always)
    static func store(_ values: SIMD16<Float>, to target: UnsafeMutablePointer<Self>, count: Int) {
        if count >= 16 { return store16(values, to: target) }
        for i in 0..<count { target[i] = Self(rounding: values[i]) }
    }
}
