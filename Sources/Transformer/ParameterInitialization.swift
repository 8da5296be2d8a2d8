import Glibc
import Kernels

extension ParameterLayout {
    /// Fills an arena with the weights of a new model. A function of the seed alone.
    package func initialize(_ weights: Buffer<Float>, seed: UInt64) {
        precondition(weights.count == count, "an arena of \(weights.count) elements for a layout of \(count)")
        // Not the seed itself: streams whose starts are small multiples of each other would be one stream, shifted.
        var seeds = SplitMix64(seed: seed)
        let start = seeds.next()
        for (index, parameter) in parameters.enumerated() {
            switch parameter.initialization {
            case .zeros: weights.zero(parameter.range)
            case .ones: weights.set([Float](repeating: 1, count: parameter.count), at: parameter.offset)
            case .normal(let deviation):
                // A stream of its own for each tensor, so that one tensor's shape does not move another's values.
                var random = SplitMix64(seed: start &+ UInt64(index))
                weights.withMutableSpan(parameter.range) { values in
                    for i in stride(from: 0, to: values.count, by: 2) {
                        let pair = random.nextNormalPair()
                        values[i] = pair.0 * deviation
                        if i + 1 < values.count { values[i + 1] = pair.1 * deviation }
                    }
                }
            }
        }
    }
}

/// Steele, Lea & Flood 2014: 64 bits of state, enough for initial weights and sampling.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts a stream; equal seeds give equal streams.
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number in 0 ..< 1.
    package mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Two independent normal deviates (Box & Muller 1958).
    mutating func nextNormalPair() -> (Float, Float) {
        let radius = (-2 * log(1 - nextUnit())).squareRoot()
        let angle = 2 * Double.pi * nextUnit()
        return (Float(radius * cos(angle)), Float(radius * sin(angle)))
    }
}
