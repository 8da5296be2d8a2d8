/// The element-wise passes of Muon over a matrix in the arenas.
package enum MuonUpdate {
    /// Takes a gradient into its momentum and puts what is to be orthogonalised in the gradient's place.
    ///
    /// Jordan 2024, in PyTorch's form (`torch.optim.Muon` with Nesterov's momentum): g ← g · scale, b ← b + (1 − μ)(g − b),
    /// g ← b + (1 − μ)(g − b). Both slices have the same count.
    /// - Parameters:
    ///   - decay: μ.
    ///   - gradientScale: what each stored gradient is multiplied by first: 1 / tokens, times the clip factor.
    package static func accumulate(
        _ pool: ThreadPool, gradients: BufferSlice<Float>, momentum: BufferSlice<Float>, decay: Double,
        gradientScale: Double
    ) {
        precondition(
            momentum.count >= gradients.count, "\(momentum.count) of momentum, \(gradients.count) of gradients")
        let (scale, rest) = (splat(Float(gradientScale)), splat(Float(1 - decay)))
        pool.split(gradients.count, grain: 4096) { _, range in
            let (g, b) = (gradients.pointer, momentum.pointer)
            let full = range.lowerBound + range.count / 16 * 16
            for i in stride(from: range.lowerBound, to: full, by: 16) {
                accumulateVector(g + i, b + i, scale, rest, 16)
            }
            if full < range.upperBound {
                accumulateVector(g + full, b + full, scale, rest, range.upperBound - full)
            }
        }
    }

    /// w ← w · (1 − rate · decay) − step · direction, and refreshes the matmul copy of the weights, which is nil in fp32.
    /// - Parameter stepSize: the rate with the factor for the matrix's shape.
    package static func apply(
        _ pool: ThreadPool, weights: BufferSlice<Float>, direction: BufferSlice<Float>, copy: BufferSlice<BFloat16>?,
        learningRate: Double, weightDecay: Double, stepSize: Double
    ) {
        precondition(
            min(direction.count, copy?.count ?? weights.count) >= weights.count,
            "slices of other counts than \(weights.count)")
        let (keep, step) = (splat(Float(1 - learningRate * weightDecay)), splat(Float(-stepSize)))
        pool.split(weights.count, grain: 4096) { _, range in
            let (w, d) = (weights.pointer, direction.pointer)
            let full = range.lowerBound + range.count / 16 * 16
            for i in stride(from: range.lowerBound, to: full, by: 16) {
                let updated = updateVector(w + i, d + i, keep, step, 16)
                if let copy { BFloat16.store16(updated, to: copy.pointer + i) }
            }
            if full < range.upperBound {
                let left = range.upperBound - full
                let updated = updateVector(w + full, d + full, keep, step, left)
                if let copy { BFloat16.store(updated, to: copy.pointer + full, count: left) }
            }
        }
    }

    // Transparent, so that `left` is a constant in the loops over whole vectors.
    @_transparent
    private static func accumulateVector(
        _ g: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ scale: SIMD16<Float>,
        _ rest: SIMD16<Float>, _ left: Int
    ) {
        let gradient = Float.load(g, count: left) * scale
        let old = Float.load(b, count: left)
        let new = old.addingProduct(gradient - old, rest)
        Float.store(new, to: b, count: left)
        Float.store(new.addingProduct(gradient - new, rest), to: g, count: left)
    }

    @_transparent
    private static func updateVector(
        _ w: UnsafeMutablePointer<Float>, _ d: UnsafePointer<Float>, _ keep: SIMD16<Float>, _ step: SIMD16<Float>,
        _ left: Int
    ) -> SIMD16<Float> {
        let updated = (Float.load(w, count: left) * keep).addingProduct(Float.load(d, count: left), step)
        Float.store(updated, to: w, count: left)
        return updated
    }
}
