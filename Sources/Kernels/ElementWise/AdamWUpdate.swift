/// One pass of AdamW over a range of the arenas.
package enum AdamWUpdate {
    /// What one update needs besides the arenas, as vectors; the same for every range.
    package struct Coefficients: Sendable {
        let scale, keep, beta1, rest1, beta2, rest2, rootCorrection, epsilon, stepSize: SIMD16<Float>

        /// - Parameters:
        ///   - weightDecay: decoupled, 0 for tensors that do not decay.
        ///   - beta1: decay of the first moment, and `beta2` of the second.
        ///   - epsilon: added to the root of the second moment.
        ///   - step: the number of this update, from 1, for the bias corrections.
        ///   - gradientScale: what each stored gradient is multiplied by first: 1 / tokens, times the clip factor.
        package init(
            learningRate: Double, weightDecay: Double, beta1: Double, beta2: Double, epsilon: Double, step: Int,
            gradientScale: Double
        ) {
            let correction1 = 1 - power(beta1, Double(step))
            let correction2 = 1 - power(beta2, Double(step))
            scale = splat(Float(gradientScale))
            keep = splat(Float(1 - learningRate * weightDecay))
            self.beta1 = splat(Float(beta1))
            rest1 = splat(Float(1 - beta1))
            self.beta2 = splat(Float(beta2))
            rest2 = splat(Float(1 - beta2))
            rootCorrection = splat(Float(1 / correction2.squareRoot()))
            self.epsilon = splat(Float(epsilon))
            stepSize = splat(Float(-learningRate / correction1))
        }
    }

    /// Updates weights and moments in place from `gradients`, and refreshes the matmul copy of the weights.
    ///
    /// Loshchilov & Hutter 2019, in PyTorch's form: w ← w · (1 − lr · decay), m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
    /// w ← w − (lr / (1 − β₁ᵗ)) · m / (√v / √(1 − β₂ᵗ) + ε). All slices have the same count; `copy` is nil in fp32.
    package static func apply(
        _ pool: ThreadPool, weights: BufferSlice<Float>, gradients: BufferSlice<Float>,
        firstMoments: BufferSlice<Float>, secondMoments: BufferSlice<Float>, copy: BufferSlice<BFloat16>?,
        _ coefficients: Coefficients
    ) {
        precondition(
            min(gradients.count, firstMoments.count, secondMoments.count, copy?.count ?? weights.count)
                >= weights.count, "slices of other counts than \(weights.count)")
        pool.split(weights.count, grain: 4096) { _, range in
            let w = weights.pointer
            let g = gradients.pointer
            let m = firstMoments.pointer
            let v = secondMoments.pointer
            let full = range.lowerBound + range.count / 16 * 16
            for i in stride(from: range.lowerBound, to: full, by: 16) {
                let updated = updateVector(w + i, g + i, m + i, v + i, coefficients, 16)
                if let copy { BFloat16.store16(updated, to: copy.pointer + i) }
            }
            if full < range.upperBound {
                let left = range.upperBound - full
                let updated = updateVector(w + full, g + full, m + full, v + full, coefficients, left)
                if let copy { BFloat16.store(updated, to: copy.pointer + full, count: left) }
            }
        }
    }

    // Transparent, so that `left` is a constant in the loop over whole vectors.
    @_transparent
    private static func updateVector(
        _ w: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, _ m: UnsafeMutablePointer<Float>,
        _ v: UnsafeMutablePointer<Float>, _ f: Coefficients, _ left: Int
    ) -> SIMD16<Float> {
        let gradient = Float.load(g, count: left) * f.scale
        let first = (Float.load(m, count: left) * f.beta1).addingProduct(gradient, f.rest1)
        let second = (Float.load(v, count: left) * f.beta2).addingProduct(gradient * gradient, f.rest2)
        let denominator = f.epsilon.addingProduct(squareRoot(second), f.rootCorrection)
        let updated = (Float.load(w, count: left) * f.keep).addingProduct(first / denominator, f.stepSize)
        Float.store(first, to: m, count: left)
        Float.store(second, to: v, count: left)
        Float.store(updated, to: w, count: left)
        return updated
    }

    /// base^exponent for a whole exponent, by squaring: the same bits with every C library.
    static func power(_ base: Double, _ exponent: Double) -> Double {
        var result = 1.0
        var factor = base
        var left = UInt64(exponent)
        while left > 0 {
            if left & 1 == 1 { result *= factor }
            factor *= factor
            left >>= 1
        }
        return result
    }
}
