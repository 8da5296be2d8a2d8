// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import Glibc

// R: rows of a block, V: vocabulary.

/// Softmax and cross-entropy of a block of rows, with the gradient in the same pass.
package enum CrossEntropy {
    /// Writes each row's loss, −log softmax(logits)[target], computed in fp32. With `writesGradient`, for training,
    /// turns `logits` [R, V] into the gradient of the losses' sum: softmax − one-hot.
    ///
    /// With a `softCap`, each logit z counts as cap · tanh(z / cap), as in Gemma 2, and the gradient is that of z.
    /// `targets` and `losses` have R elements; `scratch` has at least threads × (V rounded up to 16) elements.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func loss<E: ActivationElement>(
        _ pool: ThreadPool, logits: BufferSlice<E>, targets: BufferSlice<Int32>, losses: BufferSlice<Float>,
        vocabulary V: Int, scratch: BufferSlice<Float>, writesGradient: Bool, softCap cap: Float? = nil
    ) {
        let rows = targets.count
        let padded = (V + 15) / 16 * 16
        precondition(
            logits.count >= rows * V && losses.count >= rows && scratch.count >= pool.threadCount * padded,
            "too little memory for [\(rows), \(V)]")
        pool.split(rows) { thread, rows in
            let powers = scratch.pointer + thread * padded
            for r in rows {
                let row = logits.pointer + r * V
                let target = Int(targets.pointer[r])
                precondition((0..<V).contains(target), "token \(target) of \(V)")
                if let cap {
                    losses.pointer[r] = cappedLoss(row, V, target, cap, powers, writesGradient)
                    continue
                }
                let targetLogit = row[target].float
                let (largest, total) = exponentials(of: row, V, into: powers)
                losses.pointer[r] = log(total) + largest - targetLogit
                guard writesGradient else { continue }
                let scale = splat(1 / total)
                for v in stride(from: 0, to: V, by: 16) {
                    E.store(Float.load16(powers + v) * scale, to: row + v, count: V - v)
                }
                row[target] = E(rounding: powers[target] / total - 1)
            }
        }
    }

    /// Turns each logit z into `cap` · tanh(z / `cap`), as the loss with a soft cap sees it, in place.
    package static func cap(_ pool: ThreadPool, _ logits: BufferSlice<Float>, at cap: Float) {
        pool.split(logits.count, grain: 1024) { _, range in
            let z = logits.pointer + range.lowerBound
            writeCapped(z, range.count, cap, to: z)
        }
    }

    /// The loss of one row with a soft cap; turns the row into the gradient with `writesGradient`.
    /// Apart from the loop without one, which it would slow down.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func cappedLoss<E: ActivationElement>(
        _ row: UnsafeMutablePointer<E>, _ V: Int, _ target: Int, _ cap: Float, _ powers: UnsafeMutablePointer<Float>,
        _ writesGradient: Bool
    ) -> Float {
        // The powers take the place of the capped logits, which no later step needs.
        writeCapped(row, V, cap, to: powers)
        let targetLogit = powers[target]
        let (largest, total) = exponentials(of: powers, V, into: powers)
        guard writesGradient else { return log(total) + largest - targetLogit }
        let inverse = splat(1 / cap)
        let scale = splat(1 / total)
        let targetSlope = hyperbolicTangent(splat(row[target].float) * inverse).slope[0]
        let full = V / 16 * 16
        for v in stride(from: 0, to: full, by: 16) {
            let slope = hyperbolicTangent(E.load16(row + v) * inverse).slope
            E.store16(Float.load16(powers + v) * scale * slope, to: row + v)
        }
        if full < V {
            let slope = hyperbolicTangent(E.load(row + full, count: V - full) * inverse).slope
            E.store(Float.load16(powers + full) * scale * slope, to: row + full, count: V - full)
        }
        row[target] = E(rounding: (powers[target] / total - 1) * targetSlope)
        return log(total) + largest - targetLogit
    }

    /// `target` [V] = `cap` · tanh(z / `cap`).
    @inline(__always)
    private static func writeCapped<E: ActivationElement>(
        _ z: UnsafePointer<E>, _ V: Int, _ cap: Float, to target: UnsafeMutablePointer<Float>
    ) {
        let inverse = splat(1 / cap)
        let full = V / 16 * 16
        for v in stride(from: 0, to: full, by: 16) {
            Float.store16(hyperbolicTangent(E.load16(z + v) * inverse).value * splat(cap), to: target + v)
        }
        if full < V {
            let t = hyperbolicTangent(E.load(z + full, count: V - full) * inverse).value
            Float.store(t * splat(cap), to: target + full, count: V - full)
        }
    }

    /// Writes e^(x − largest) and returns the largest x and the sum of the powers.
    @inline(__always)
    private static func exponentials<E: ActivationElement>(
        of row: UnsafePointer<E>, _ V: Int, into powers: UnsafeMutablePointer<Float>
    ) -> (largest: Float, total: Float) {
        let largest = largestElement(row, V)
        // Four sums in turn, so that one addition need not wait for the last.
        var sums = (SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>())
        let quads = V / 64 * 64
        for v in stride(from: 0, to: quads, by: 64) {
            let a = exponential(E.load16(row + v) - splat(largest))
            let b = exponential(E.load16(row + v + 16) - splat(largest))
            let c = exponential(E.load16(row + v + 32) - splat(largest))
            let d = exponential(E.load16(row + v + 48) - splat(largest))
            Float.store16(a, to: powers + v)
            Float.store16(b, to: powers + v + 16)
            Float.store16(c, to: powers + v + 32)
            Float.store16(d, to: powers + v + 48)
            sums.0 += a
            sums.1 += b
            sums.2 += c
            sums.3 += d
        }
        var total = (sums.0 + sums.1) + (sums.2 + sums.3)
        for v in stride(from: quads, to: V, by: 16) {
            let left = V - v
            var e = exponential(E.load(row + v, count: left) - splat(largest))
            for lane in min(left, 16)..<16 { e[lane] = 0 }
            Float.store16(e, to: powers + v)
            total += e
        }
        return (largest, horizontalSum(total))
    }
}
