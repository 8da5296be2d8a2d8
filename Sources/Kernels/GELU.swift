// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows, H: columns (the hidden size of the MLP).

/// The Gaussian error linear unit in its tanh form (Hendrycks & Gimpel 2016; `gelu_new` of GPT-2).
///
/// ½x(1 + tanh u) = x · σ(2u) with u = √(2/π) · (x + 0.044715 x³).
package enum GELU {
    /// `y` [N, H] = GELU(`x` [N, H]).
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func forward<E: ActivationElement>(_ pool: ThreadPool, _ x: BufferSlice<E>, into y: BufferSlice<E>) {
        precondition(y.count >= x.count, "room for \(y.count) results of \(x.count)")
        pool.split(x.count, grain: 1024) { _, range in
            @inline(__always) func vector(_ i: Int, _ left: Int) {
                let v = E.load(x.pointer + i, count: left)
                E.store(v * sigmoid(v), to: y.pointer + i, count: left)
            }
            let full = range.lowerBound + range.count / 16 * 16
            for i in stride(from: range.lowerBound, to: full, by: 16) { vector(i, 16) }
            if full < range.upperBound { vector(full, range.upperBound - full) }
        }
    }

    /// Turns `gradient` [N, H] of the output into that of the input `x`, in place; writes the output again to `y`
    /// (it is not kept since the forward pass) and the column sums of the new gradient to `biasGradient` [H].
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func backward<E: ActivationElement>(
        _ pool: ThreadPool, x: BufferSlice<E>, gradient: BufferSlice<E>, output y: BufferSlice<E>,
        biasGradient: BufferSlice<Float>, partials: Partials, columns H: Int
    ) {
        let N = x.count / H
        precondition(
            min(gradient.count, y.count) >= N * H && biasGradient.count >= H, "too little memory for [\(N), \(H)]")
        partials.requireRoom(rows: N, columns: H)
        pool.split(N, grain: Partials.rowsPerChunk) { _, rows in
            for chunk in Partials.chunks(of: rows) {
                let sums = partials.start(ofChunkAt: chunk.lowerBound, columns: H)
                for n in chunk {
                    let xRow = x.pointer + n * H
                    let gRow = gradient.pointer + n * H
                    let yRow = y.pointer + n * H
                    @inline(__always) func vector(_ h: Int, _ left: Int) {
                        let v = E.load(xRow + h, count: left)
                        let s = sigmoid(v)
                        E.store(v * s, to: yRow + h, count: left)
                        let slope = splat(2 * 0.797_884_56).addingProduct(v * v, splat(6 * 0.797_884_56 * 0.044_715))
                        let derivative = s.addingProduct(v * s * (splat(1) - s), slope)
                        let d = E.load(gRow + h, count: left) * derivative
                        E.store(d, to: gRow + h, count: left)
                        Float.store(Float.load(sums + h, count: left) + d, to: sums + h, count: left)
                    }
                    let full = H / 16 * 16
                    for h in stride(from: 0, to: full, by: 16) { vector(h, 16) }
                    if full < H { vector(full, H - full) }
                }
            }
        }
        partials.combine(rows: N, columns: H, from: 0, count: H, into: biasGradient)
    }

    /// σ(2u).
    @_transparent
    private static func sigmoid(_ x: SIMD16<Float>) -> SIMD16<Float> {
        let slope = splat(-2 * 0.797_884_56 * log2e)
        let cubic = slope.addingProduct(x * x, splat(-2 * 0.797_884_56 * log2e * 0.044_715))
        return splat(1) / (splat(1) + exponential2(x * cubic))
    }
}
