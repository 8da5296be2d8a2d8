/// What `--debug` shows of a tensor.
package struct TensorStatistics: Sendable, Equatable {
    /// The mean of all values.
    package var mean: Double
    /// The standard deviation of all values (population).
    package var standardDeviation: Double
    /// The largest absolute value.
    package var largestMagnitude: Double
    /// How many values are infinite or not a number; the other figures are of the rest.
    package var nonFiniteCount: Int

    /// Computes the figures in Double, one value after another.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package init<E: ActivationElement>(_ x: BufferSlice<E>) {
        var (sum, squares) = (0.0, 0.0)
        (largestMagnitude, nonFiniteCount) = (0, 0)
        for i in 0..<x.count {
            let value = Double(x.pointer[i].float)
            guard value.isFinite else {
                nonFiniteCount += 1
                continue
            }
            sum += value
            squares += value * value
            largestMagnitude = max(largestMagnitude, value.magnitude)
        }
        let count = Double(max(1, x.count - nonFiniteCount))
        mean = sum / count
        standardDeviation = max(0, squares / count - mean * mean).squareRoot()
    }
}

/// A 64-bit hash of memory, for the comparison of weights between ranks. Not a defence against forgery.
package enum Fingerprint {
    /// The hash of a slice's bits: any one changed bit changes it.
    package static func compute(_ x: BufferSlice<Float>) -> UInt64 {
        // Eight lanes, each a multiply-add chain with an odd (so invertible) multiplier.
        let words = UnsafeRawPointer(x.pointer)
        let count = x.count * 4
        var lanes = SIMD8<UInt64>(1, 2, 3, 4, 5, 6, 7, 8) &* SIMD8(repeating: 0x9e37_79b9_7f4a_7c15)
        let multiplier = SIMD8<UInt64>(repeating: 0xd6e8_feb8_6659_fd93)
        let full = count / 64 * 64
        for offset in stride(from: 0, to: full, by: 64) {
            let block = words.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            lanes = (lanes ^ block) &* multiplier
            lanes ^= lanes &>> 32
        }
        var hash = UInt64(count)
        for lane in 0..<8 { hash = mix(hash ^ lanes[lane]) }
        for offset in stride(from: full, to: count, by: 4) {
            hash = mix(hash ^ UInt64(words.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        }
        return hash
    }

    /// Folds one more value into a hash.
    package static func combine(_ hash: UInt64, _ value: UInt64) -> UInt64 { mix(hash ^ mix(value)) }

    private static func mix(_ value: UInt64) -> UInt64 {
        var h = value &+ 0x9e37_79b9_7f4a_7c15
        h = (h ^ (h >> 30)) &* 0xbf58_476d_1ce4_e5b9
        h = (h ^ (h >> 27)) &* 0x94d0_49bb_1331_11eb
        return h ^ (h >> 31)
    }
}
