// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows, C: columns.

/// Which elements of a matrix are dropped (Srivastava et al. 2014), and what the others are multiplied by: a function of a
/// key, the row and the column alone, so that the backward pass, a resume and any number of ranks find the same ones.
package struct Dropout: Sendable {
    private let key: UInt64
    /// Random numbers from 1 to 2 that are below it mean that an element is dropped.
    private let threshold: Float
    /// 1 / (1 − probability), for what stays.
    private let scale: Float

    /// Elements are dropped with this probability, from 0 to below 1. Equal keys drop equal elements; `place` tells apart the
    /// tensors of a micro-batch.
    package init(probability: Double, seed: UInt64, step: Int, microBatch: Int, place: Int) {
        precondition((0..<1).contains(probability), "a probability of \(probability)")
        threshold = Float(1 + probability)
        scale = Float(1 / (1 - probability))
        var key = Self.mixed(seed ^ 0x6472_6f70_6f75_7421)
        key = Self.mixed(key ^ UInt64(truncatingIfNeeded: step))
        key = Self.mixed(key ^ UInt64(truncatingIfNeeded: microBatch))
        self.key = Self.mixed(key ^ UInt64(truncatingIfNeeded: place))
    }

    /// One row's part of it.
    struct Row {
        fileprivate let start, twist: UInt32
        fileprivate let threshold, scale: Float

        /// What sixteen elements from a column on are multiplied by: 0 or the scale.
        @_transparent
        func factors(_ column: Int) -> SIMD16<Float> {
            var x = SIMD16<UInt32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
            x = (x &+ SIMD16(repeating: start &+ UInt32(truncatingIfNeeded: column))) ^ SIMD16(repeating: twist)
            // Wellons' lowbias32: every bit of the result depends on every bit of x.
            x ^= x &>> 16
            x = x &* SIMD16(repeating: 0x21f0_aaad)
            x ^= x &>> 15
            x = x &* SIMD16(repeating: 0xd35a_2d97)
            x ^= x &>> 15
            // As numbers from 1 to below 2, since whole numbers without a sign would be compared lane by lane.
            let number = unsafeBitCast(x &>> 9 | SIMD16(repeating: 0x3f80_0000), to: SIMD16<Float>.self)
            return splat(scale).replacing(with: 0, where: number .< splat(threshold))
        }
    }

    @inline(__always)
    func row(_ row: Int) -> Row {
        let bits = Self.mixed(key ^ UInt64(truncatingIfNeeded: row))
        return Row(
            start: UInt32(truncatingIfNeeded: bits), twist: UInt32(truncatingIfNeeded: bits >> 32),
            threshold: threshold,
            scale: scale)
    }

    /// The step of SplitMix64 (Steele, Lea & Flood 2014).
    @inline(__always)
    private static func mixed(_ bits: UInt64) -> UInt64 {
        var z = bits &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Drops elements of `x` [N, C] in place: those of a layer's output in the forward pass, and in the backward pass those of
    /// its gradient.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func apply<E: ActivationElement>(_ pool: ThreadPool, _ x: BufferSlice<E>, columns C: Int) {
        pool.split(x.count / C, grain: 8) { _, rows in
            for n in rows {
                let row = row(n)
                let values = x.pointer + n * C
                let full = C / 16 * 16
                for c in stride(from: 0, to: full, by: 16) {
                    E.store16(E.load16(values + c) * row.factors(c), to: values + c)
                }
                if full < C {
                    E.store(
                        E.load(values + full, count: C - full) * row.factors(full), to: values + full, count: C - full)
                }
            }
        }
    }
}
