// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows (tokens of a micro-batch), C: columns (embedding size).

/// Normalisation of rows by their root mean square (Zhang & Sennrich 2019), fused with the residual additions around it.
package enum RMSNorm {
    /// Adds a branch to the residual stream and normalises the sum.
    ///
    /// `residual` [N, C] is the stream before, `branch` [N, C] what the last layer adds, `sum` [N, C] their sum; with
    /// no branch, `residual` itself is normalised and `sum` is not touched. `output` [N, C] = x · rstd · weight, without
    /// `weight` [C] x · rstd; `rstd` [N] = 1 / √(mean of x² + `epsilon`) is kept for the backward pass.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func forward<E: ActivationElement>(
        _ pool: ThreadPool, residual: BufferSlice<Float>, adding branch: BufferSlice<E>?, sum: BufferSlice<Float>,
        output: BufferSlice<E>, weight: BufferSlice<Float>?, rstd: BufferSlice<Float>, epsilon: Float, columns C: Int
    ) {
        let N = rstd.count
        precondition(
            min(residual.count, branch?.count ?? N * C, branch == nil ? N * C : sum.count, output.count) >= N * C
                && weight?.count ?? C >= C, "a norm of [\(N), \(C)] was lent too little memory")
        let w = weight.map { UnsafePointer($0.pointer) }
        let full = C / 16 * 16
        pool.split(N, grain: 8) { _, rows in
            for n in rows {
                var x = UnsafePointer(residual.pointer + n * C)
                var squares = SIMD16<Float>()
                if let branch {
                    let target = sum.pointer + n * C
                    let added = branch.pointer + n * C
                    for c in stride(from: 0, to: C, by: 16) {
                        let value = Float.load(x + c, count: C - c) + E.load(added + c, count: C - c)
                        Float.store(value, to: target + c, count: C - c)
                        squares.addProduct(value, value)
                    }
                    x = UnsafePointer(target)
                } else {
                    for c in stride(from: 0, to: C, by: 16) {
                        let value = Float.load(x + c, count: C - c)
                        squares.addProduct(value, value)
                    }
                }
                let r = 1 / (horizontalSum(squares) / Float(C) + epsilon).squareRoot()
                rstd.pointer[n] = r
                let y = output.pointer + n * C
                for c in stride(from: 0, to: full, by: 16) { outputVector(x + c, w.map { $0 + c }, r, y + c, 16) }
                if full < C { outputVector(x + full, w.map { $0 + full }, r, y + full, C - full) }
            }
        }
    }

    /// The backward pass, fused with what its neighbours need from the same rows.
    ///
    /// Takes `outputGradient` [N, C] and the saved `x` and `rstd`; adds the gradient of x to `residualGradient` [N, C],
    /// or overwrites it with `overwrites`, and then both may be the same memory. Writes besides what is not nil: the
    /// norm's output again (`output`); the new residual gradient as a matmul operand (`branchGradient`); the gradient of
    /// the weight [C]; and the column sums of the new residual gradient (`branchBiasGradient` [C]), which are the bias
    /// gradient of the linear layer that feeds the residual stream here. `partials` has room for N rows of 2 · C columns.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func backward<E: ActivationElement>(
        _ pool: ThreadPool, outputGradient: BufferSlice<E>, x: BufferSlice<Float>, weight: BufferSlice<Float>?,
        rstd: BufferSlice<Float>, residualGradient: BufferSlice<Float>, overwrites: Bool,
        branchGradient: BufferSlice<E>?, output: BufferSlice<E>?, weightGradient: BufferSlice<Float>?,
        branchBiasGradient: BufferSlice<Float>?, partials: Partials, columns C: Int
    ) {
        let N = rstd.count
        precondition(
            min(outputGradient.count, x.count, residualGradient.count, branchGradient?.count ?? N * C) >= N * C
                && output?.count ?? N * C >= N * C
                && min(weight?.count ?? C, weightGradient?.count ?? C, branchBiasGradient?.count ?? C) >= C,
            "a norm of [\(N), \(C)] was lent too little memory")
        precondition(weight != nil || weightGradient == nil, "a norm without weights has no gradient of them")
        let w = weight.map { UnsafePointer($0.pointer) }
        let full = C / 16 * 16
        partials.forEachRow(pool, rows: N, columns: 2 * C) { n, sums in
            let dw = weightGradient == nil ? nil : sums
            let ds = branchBiasGradient == nil ? nil : sums + C
            let dy = UnsafePointer(outputGradient.pointer + n * C)
            let xRow = UnsafePointer(x.pointer + n * C)
            let r = rstd.pointer[n]
            var totalX = SIMD16<Float>()
            for c in stride(from: 0, to: full, by: 16) {
                sumVector(dy + c, xRow + c, w.map { $0 + c }, r, dw.map { $0 + c }, &totalX, 16)
            }
            if full < C {
                sumVector(dy + full, xRow + full, w.map { $0 + full }, r, dw.map { $0 + full }, &totalX, C - full)
            }
            let meanGX = horizontalSum(totalX) / Float(C)
            let dx = residualGradient.pointer + n * C
            let y = output.map { $0.pointer + n * C }
            let branch = branchGradient.map { $0.pointer + n * C }
            for c in stride(from: 0, to: full, by: 16) {
                if let y { outputVector(xRow + c, w.map { $0 + c }, r, y + c, 16) }
                let d = inputGradient(dy + c, xRow + c, w.map { $0 + c }, r, meanGX, 16)
                streamVector(d, dx + c, overwrites, branch.map { $0 + c }, ds.map { $0 + c }, 16)
            }
            if full < C {
                let left = C - full
                if let y { outputVector(xRow + full, w.map { $0 + full }, r, y + full, left) }
                let d = inputGradient(dy + full, xRow + full, w.map { $0 + full }, r, meanGX, left)
                streamVector(d, dx + full, overwrites, branch.map { $0 + full }, ds.map { $0 + full }, left)
            }
        }
        if let weightGradient { partials.combine(rows: N, columns: 2 * C, from: 0, count: C, into: weightGradient) }
        if let branchBiasGradient {
            partials.combine(rows: N, columns: 2 * C, from: C, count: C, into: branchBiasGradient)
        }
    }

    // Transparent, so that `left` is a constant in the loops over whole vectors. `HeadNorm` has the same formulas, with
    // x as it is stored.

    /// Writes the gradient of the residual stream, to which x adds `d`, and adds it to `ds`.
    @_transparent
    private static func streamVector<E: ActivationElement>(
        _ d: SIMD16<Float>, _ dx: UnsafeMutablePointer<Float>, _ overwrites: Bool, _ branch: UnsafeMutablePointer<E>?,
        _ ds: UnsafeMutablePointer<Float>?, _ left: Int
    ) {
        let sum = overwrites ? d : d + Float.load(dx, count: left)
        Float.store(sum, to: dx, count: left)
        if let branch { E.store(sum, to: branch, count: left) }
        if let ds { Float.store(Float.load(ds, count: left) + sum, to: ds, count: left) }
    }

    /// Writes y = x · rstd · weight.
    @_transparent
    static func outputVector<X: ActivationElement, E: ActivationElement>(
        _ x: UnsafePointer<X>, _ w: UnsafePointer<Float>?, _ r: Float, _ y: UnsafeMutablePointer<E>, _ left: Int
    ) {
        var value = X.load(x, count: left) * splat(r)
        if let w { value *= Float.load(w, count: left) }
        E.store(value, to: y, count: left)
    }

    /// Adds to the row's sum of dy · weight · x̂, x̂ = x · rstd, and to the gradient of the weight.
    @_transparent
    static func sumVector<X: ActivationElement, E: ActivationElement>(
        _ dy: UnsafePointer<E>, _ x: UnsafePointer<X>, _ w: UnsafePointer<Float>?, _ r: Float,
        _ dw: UnsafeMutablePointer<Float>?, _ totalX: inout SIMD16<Float>, _ left: Int
    ) {
        let g = E.load(dy, count: left)
        let xhat = X.load(x, count: left) * splat(r)
        var gw = g
        if let w { gw *= Float.load(w, count: left) }
        totalX.addProduct(gw, xhat)
        if let dw { Float.store(Float.load(dw, count: left).addingProduct(g, xhat), to: dw, count: left) }
    }

    /// The gradient of x: rstd · (dy · weight − x̂ · their mean product).
    @_transparent
    static func inputGradient<X: ActivationElement, E: ActivationElement>(
        _ dy: UnsafePointer<E>, _ x: UnsafePointer<X>, _ w: UnsafePointer<Float>?, _ r: Float, _ meanGX: Float,
        _ left: Int
    ) -> SIMD16<Float> {
        var gw = E.load(dy, count: left)
        if let w { gw *= Float.load(w, count: left) }
        return (gw - X.load(x, count: left) * splat(r) * splat(meanGX)) * splat(r)
    }
}
