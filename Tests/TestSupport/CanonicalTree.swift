/// The plain reference of the exact reduction: neighbours are added level by level, a left-over is carried up.
package enum CanonicalTree {
    /// The sum of equally long vectors along the canonical binary tree over their index.
    package static func sum(_ vectors: [[Float]]) -> [Float] {
        var level = vectors
        while level.count > 1 {
            level = stride(from: 0, to: level.count, by: 2).map { index in
                guard index + 1 < level.count else { return level[index] }
                return zip(level[index], level[index + 1]).map { $0 + $1 }
            }
        }
        return level.first ?? []
    }

    /// Values whose sum depends on the order of the additions: signs and exponents vary widely.
    package static func values(count: Int, seed: UInt64) -> [Float] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let bits = UInt32(truncatingIfNeeded: state >> 32)
            let exponent = 117 + (bits >> 23) % 20
            return Float(bitPattern: (bits & 0x807F_FFFF) | exponent << 23)
        }
    }

    /// A hash of the bits of some values (FNV-1a), to compare results across processes.
    package static func hash(_ values: [Float]) -> UInt64 {
        values.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
    }
}
