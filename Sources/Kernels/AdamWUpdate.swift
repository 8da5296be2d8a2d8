/// One pass of AdamW over a range of the arenas.
public enum AdamWUpdate {
    /// What one update needs besides the arenas; the same for every range.
    public struct Coefficients: Sendable {
        /// The learning rate of this update.
        public var learningRate: Double
        /// Decoupled weight decay, 0 for tensors that do not decay.
        public var weightDecay: Double
        /// Decay of the first moment.
        public var beta1: Double
        /// Decay of the second moment.
        public var beta2: Double
        /// Added to the root of the second moment.
        public var epsilon: Double
        /// The number of this update, from 1, for the bias corrections.
        public var step: Int
        /// What each stored gradient is multiplied by first: 1 / tokens, times the clip factor.
        public var gradientScale: Double

        public init(
            learningRate: Double, weightDecay: Double, beta1: Double, beta2: Double, epsilon: Double, step: Int,
            gradientScale: Double
        ) {
            self.learningRate = learningRate
            self.weightDecay = weightDecay
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.step = step
            self.gradientScale = gradientScale
        }
    }

    /// Updates weights and moments in place from `gradients`, and refreshes the matmul copy of the weights.
    ///
    /// Loshchilov & Hutter 2019, in PyTorch's form: w ← w · (1 − lr · decay), m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
    /// w ← w − (lr / (1 − β₁ᵗ)) · m / (√v / √(1 − β₂ᵗ) + ε). All slices have the same count; `copy` is nil in fp32.
    public static func apply(
        _ pool: ThreadPool, weights: BufferSlice<Float>, gradients: BufferSlice<Float>,
        firstMoments: BufferSlice<Float>, secondMoments: BufferSlice<Float>, copy: BufferSlice<BFloat16>?,
        _ coefficients: Coefficients
    ) {
        let step = Double(coefficients.step)
        let correction1 = 1 - power(coefficients.beta1, step)
        let correction2 = 1 - power(coefficients.beta2, step)
        let scale = splat(Float(coefficients.gradientScale))
        let keep = splat(Float(1 - coefficients.learningRate * coefficients.weightDecay))
        let beta1 = splat(Float(coefficients.beta1))
        let rest1 = splat(Float(1 - coefficients.beta1))
        let beta2 = splat(Float(coefficients.beta2))
        let rest2 = splat(Float(1 - coefficients.beta2))
        let rootCorrection = splat(Float(1 / correction2.squareRoot()))
        let epsilon = splat(Float(coefficients.epsilon))
        let stepSize = splat(Float(-coefficients.learningRate / correction1))
        pool.split(weights.count, grain: 4096) { _, range in
            let w = weights.pointer
            let g = gradients.pointer
            let m = firstMoments.pointer
            let v = secondMoments.pointer
            for i in stride(from: range.lowerBound, to: range.upperBound, by: 16) {
                let left = range.upperBound - i
                let gradient = Float.load(g + i, count: left) * scale
                let first = (Float.load(m + i, count: left) * beta1).addingProduct(gradient, rest1)
                let second = (Float.load(v + i, count: left) * beta2).addingProduct(gradient * gradient, rest2)
                let denominator = epsilon.addingProduct(second.squareRoot(), rootCorrection)
                let updated = (Float.load(w + i, count: left) * keep).addingProduct(first / denominator, stepSize)
                Float.store(first, to: m + i, count: left)
                Float.store(second, to: v + i, count: left)
                Float.store(updated, to: w + i, count: left)
                if let copy { BFloat16.store(updated, to: copy.pointer + i, count: left) }
            }
        }
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
