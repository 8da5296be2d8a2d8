// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows (tokens of a micro-batch), C: columns (embedding size).

/// Layer normalisation over rows, fused with the residual additions around it (Ba et al. 2016).
package enum LayerNorm {
    /// Adds a branch to the residual stream and normalises the sum.
    ///
    /// `residual` [N, C] is the stream before, `branch` [N, C] what the last layer adds, `sum` [N, C] their sum; with
    /// no branch, `residual` itself is normalised and `sum` is not touched. `output` [N, C] = (x − mean) · rstd ·
    /// weight + bias; `mean` and `rstd` [N] are kept for the backward pass.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func forward<E: ActivationElement>(
        _ pool: ThreadPool, residual: BufferSlice<Float>, adding branch: BufferSlice<E>?, sum: BufferSlice<Float>,
        output: BufferSlice<E>, weight: BufferSlice<Float>, bias: BufferSlice<Float>,
        mean: BufferSlice<Float>, rstd: BufferSlice<Float>, epsilon: Float, columns C: Int
    ) {
        let N = mean.count
        precondition(
            min(residual.count, branch?.count ?? N * C, sum.count, output.count) >= N * C && rstd.count >= N
                && min(weight.count, bias.count) >= C, "a norm of [\(N), \(C)] was lent too little memory")
        let w = weight.pointer
        let b = bias.pointer
        pool.split(N, grain: 8) { _, rows in
            for n in rows {
                var x = UnsafePointer(residual.pointer + n * C)
                var total = SIMD16<Float>()
                if let branch {
                    let target = sum.pointer + n * C
                    let added = branch.pointer + n * C
                    for c in stride(from: 0, to: C, by: 16) {
                        let value = Float.load(x + c, count: C - c) + E.load(added + c, count: C - c)
                        Float.store(value, to: target + c, count: C - c)
                        total += value
                    }
                    x = UnsafePointer(target)
                } else {
                    for c in stride(from: 0, to: C, by: 16) { total += Float.load(x + c, count: C - c) }
                }
                let m = horizontalSum(total) / Float(C)
                var squares = SIMD16<Float>()
                let full = C / 16 * 16
                for c in stride(from: 0, to: full, by: 16) {
                    let d = Float.load16(x + c) - splat(m)
                    squares.addProduct(d, d)
                }
                var tail: Float = 0
                for c in full..<C { tail += (x[c] - m) * (x[c] - m) }
                let r = 1 / ((horizontalSum(squares) + tail) / Float(C) + epsilon).squareRoot()
                mean.pointer[n] = m
                rstd.pointer[n] = r
                let y = output.pointer + n * C
                for c in stride(from: 0, to: C, by: 16) {
                    let xhat = (Float.load(x + c, count: C - c) - splat(m)) * splat(r)
                    let value = Float.load(b + c, count: C - c).addingProduct(xhat, Float.load(w + c, count: C - c))
                    E.store(value, to: y + c, count: C - c)
                }
            }
        }
    }

    /// The backward pass, fused with what its neighbours need from the same rows.
    ///
    /// Takes `outputGradient` [N, C] and the saved `x`, `mean`, `rstd`; adds the gradient of x to `residualGradient`
    /// [N, C] (or overwrites it with `overwrites`: the last norm, above which nothing flows). Writes besides: the
    /// norm's output again (`output`, not kept since the forward pass, needed by the next weight gradient); the new
    /// residual gradient as a matmul operand (`branchGradient`, nil in fp32, where it is the same memory); the gradients
    /// of weight and bias; and the column sums of the new residual gradient (`branchBiasGradient`), which are the bias
    /// gradient of the linear layer that feeds the residual stream here.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func backward<E: ActivationElement>(
        _ pool: ThreadPool, outputGradient: BufferSlice<E>, x: BufferSlice<Float>, weight: BufferSlice<Float>,
        bias: BufferSlice<Float>, mean: BufferSlice<Float>, rstd: BufferSlice<Float>,
        residualGradient: BufferSlice<Float>, overwrites: Bool, branchGradient: BufferSlice<E>?,
        output: BufferSlice<E>, weightGradient: BufferSlice<Float>, biasGradient: BufferSlice<Float>,
        branchBiasGradient: BufferSlice<Float>?, partials: Partials, columns C: Int
    ) {
        let N = mean.count
        precondition(
            min(outputGradient.count, x.count, residualGradient.count, branchGradient?.count ?? N * C, output.count)
                >= N * C && rstd.count >= N && min(weight.count, bias.count, weightGradient.count) >= C
                && min(biasGradient.count, branchBiasGradient?.count ?? C) >= C,
            "a norm of [\(N), \(C)] was lent too little memory")
        let w = weight.pointer
        let b = bias.pointer
        partials.forEachRow(pool, rows: N, columns: 3 * C) { n, dw in
            let db = dw + C
            let ds = db + C
            let dy = outputGradient.pointer + n * C
            let xRow = x.pointer + n * C
            let m = mean.pointer[n]
            let r = rstd.pointer[n]
            var total = SIMD16<Float>()
            var totalX = SIMD16<Float>()
            let full = C / 16 * 16
            for c in stride(from: 0, to: full, by: 16) {
                sumVector(dy + c, xRow + c, w + c, m, r, dw + c, db + c, &total, &totalX, 16)
            }
            if full < C {
                sumVector(dy + full, xRow + full, w + full, m, r, dw + full, db + full, &total, &totalX, C - full)
            }
            let meanG = horizontalSum(total) / Float(C)
            let meanGX = horizontalSum(totalX) / Float(C)
            let dx = residualGradient.pointer + n * C
            let y = output.pointer + n * C
            let branch = branchGradient.map { $0.pointer + n * C }
            for c in stride(from: 0, to: full, by: 16) {
                let d = gradientVector(
                    dy + c, xRow + c, w + c, b + c, m, r, meanG, meanGX, dx + c, overwrites, y + c, ds + c, 16)
                if let branch { E.store16(d, to: branch + c) }
            }
            if full < C {
                let d = gradientVector(
                    dy + full, xRow + full, w + full, b + full, m, r, meanG, meanGX, dx + full, overwrites, y + full,
                    ds + full, C - full)
                if let branch { E.store(d, to: branch + full, count: C - full) }
            }
        }
        partials.combine(rows: N, columns: 3 * C, from: 0, count: C, into: weightGradient)
        partials.combine(rows: N, columns: 3 * C, from: C, count: C, into: biasGradient)
        if let branchBiasGradient {
            partials.combine(rows: N, columns: 3 * C, from: 2 * C, count: C, into: branchBiasGradient)
        }
    }

    // Transparent, so that `left` is a constant in the loops over whole vectors.

    /// Adds to the row's two sums and to the gradients of weight and bias.
    @_transparent
    private static func sumVector<E: ActivationElement>(
        _ dy: UnsafePointer<E>, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ m: Float, _ r: Float,
        _ dw: UnsafeMutablePointer<Float>, _ db: UnsafeMutablePointer<Float>, _ total: inout SIMD16<Float>,
        _ totalX: inout SIMD16<Float>, _ left: Int
    ) {
        let g = E.load(dy, count: left)
        let gw = g * Float.load(w, count: left)
        // Lanes past the end have g = 0, so whatever xhat is there adds nothing.
        let xhat = (Float.load(x, count: left) - splat(m)) * splat(r)
        total += gw
        totalX.addProduct(gw, xhat)
        Float.store(Float.load(dw, count: left).addingProduct(g, xhat), to: dw, count: left)
        Float.store(Float.load(db, count: left) + g, to: db, count: left)
    }

    /// Writes the norm's output again and the gradient of the residual stream, which it returns and adds to `ds`.
    @_transparent
    private static func gradientVector<E: ActivationElement>(
        _ dy: UnsafePointer<E>, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
        _ m: Float, _ r: Float, _ meanG: Float, _ meanGX: Float, _ dx: UnsafeMutablePointer<Float>,
        _ overwrites: Bool, _ y: UnsafeMutablePointer<E>, _ ds: UnsafeMutablePointer<Float>, _ left: Int
    ) -> SIMD16<Float> {
        let wc = Float.load(w, count: left)
        let xhat = (Float.load(x, count: left) - splat(m)) * splat(r)
        E.store(Float.load(b, count: left).addingProduct(xhat, wc), to: y, count: left)
        let gw = E.load(dy, count: left) * wc
        var d = (gw - splat(meanG) - xhat * splat(meanGX)) * splat(r)
        if !overwrites { d += Float.load(dx, count: left) }
        Float.store(d, to: dx, count: left)
        Float.store(Float.load(ds, count: left) + d, to: ds, count: left)
        return d
    }
}
