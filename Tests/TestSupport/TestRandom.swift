import Foundation

/// Numbers for tests: the same for a seed on every machine.
package struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    package init(_ seed: UInt64) { state = seed &* 0xd134_2543_de82_ef95 }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Normal numbers of this standard deviation around `mean`.
    package mutating func normal(_ count: Int, scale: Double = 1, mean: Double = 0) -> [Double] {
        (0..<count).map { _ in
            let radius = (-2 * log(Double.random(in: 0x1p-60..<1, using: &self))).squareRoot()
            return mean + scale * radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
        }
    }

    /// Token ids below `bound`.
    package mutating func tokens(_ count: Int, below bound: Int) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 0..<Int32(bound), using: &self) }
    }
}
