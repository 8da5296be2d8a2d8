// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows (tokens of a micro-batch), H: query heads, G: key heads, D: columns of a head.

/// `RMSNorm` of each head of the queries and of the keys, as in Qwen3. Values stay as they are.
package enum HeadNorm {
    /// Normalises the queries and keys of `rows` [N, `columns.width`] in place.
    ///
    /// `queryWeight` [D] is shared by all query heads, `keyWeight` [D] by all key heads; nil stands for no weights. What
    /// was there before is kept for the backward pass in `unnormed` [N, (H + G) · D]: the queries, then the keys; nil
    /// where none follows.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func forward<E: ActivationElement>(
        _ pool: ThreadPool, rows: BufferSlice<E>, columns: HeadColumns, unnormed: BufferSlice<E>?,
        queryWeight: BufferSlice<Float>?, keyWeight: BufferSlice<Float>?, epsilon: Float
    ) {
        let (N, width, D) = (rows.count / columns.width, columns.width, columns.headSize)
        let (H, G) = (columns.heads, columns.keyValueHeads)
        precondition(
            unnormed?.count ?? .max >= N * (H + G) * D && min(queryWeight?.count ?? D, keyWeight?.count ?? D) >= D,
            "norms of [\(N), \(H) and \(G), \(D)] were lent too little memory")
        let qw = queryWeight.map { UnsafePointer($0.pointer) }
        let kw = keyWeight.map { UnsafePointer($0.pointer) }
        let full = D / 16 * 16
        pool.split(N, grain: 8) { _, range in
            for n in range {
                for head in 0..<H + G {
                    let x = rows.pointer + n * width + column(head, columns)
                    if let unnormed { (unnormed.pointer + (n * (H + G) + head) * D).update(from: x, count: D) }
                    let w = head < H ? qw : kw
                    let r = rstd(x, D, epsilon)
                    for d in stride(from: 0, to: full, by: 16) {
                        RMSNorm.outputVector(UnsafePointer(x + d), w.map { $0 + d }, r, x + d, 16)
                    }
                    if full < D {
                        RMSNorm.outputVector(UnsafePointer(x + full), w.map { $0 + full }, r, x + full, D - full)
                    }
                }
            }
        }
    }

    /// Turns the gradient of the normalised queries and keys in `gradient` [N, `columns.width`] into that of the
    /// `unnormed` ones, in place, and writes the gradients of the weights [D] that are not nil.
    ///
    /// `partials` has room for N rows of 2 · D columns.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func backward<E: ActivationElement>(
        _ pool: ThreadPool, gradient: BufferSlice<E>, columns: HeadColumns, unnormed: BufferSlice<E>,
        queryWeight: BufferSlice<Float>?, keyWeight: BufferSlice<Float>?, queryWeightGradient: BufferSlice<Float>?,
        keyWeightGradient: BufferSlice<Float>?, epsilon: Float, partials: Partials
    ) {
        let (N, width, D) = (gradient.count / columns.width, columns.width, columns.headSize)
        let (H, G) = (columns.heads, columns.keyValueHeads)
        precondition(
            unnormed.count >= N * (H + G) * D && min(queryWeight?.count ?? D, keyWeight?.count ?? D) >= D
                && min(queryWeightGradient?.count ?? D, keyWeightGradient?.count ?? D) >= D,
            "norms of [\(N), \(H) and \(G), \(D)] were lent too little memory")
        precondition(
            (queryWeight != nil || queryWeightGradient == nil) && (keyWeight != nil || keyWeightGradient == nil),
            "a norm without weights has no gradient of them")
        let qw = queryWeight.map { UnsafePointer($0.pointer) }
        let kw = keyWeight.map { UnsafePointer($0.pointer) }
        let full = D / 16 * 16
        partials.forEachRow(pool, rows: N, columns: 2 * D) { n, sums in
            let dqw = queryWeightGradient == nil ? nil : sums
            let dkw = keyWeightGradient == nil ? nil : sums + D
            for head in 0..<H + G {
                let dx = gradient.pointer + n * width + column(head, columns)
                let dy = UnsafePointer(dx)
                let x = UnsafePointer(unnormed.pointer + (n * (H + G) + head) * D)
                let w = head < H ? qw : kw
                let dw = head < H ? dqw : dkw
                let r = rstd(x, D, epsilon)
                var totalX = SIMD16<Float>()
                for d in stride(from: 0, to: full, by: 16) {
                    RMSNorm.sumVector(dy + d, x + d, w.map { $0 + d }, r, dw.map { $0 + d }, &totalX, 16)
                }
                if full < D {
                    RMSNorm.sumVector(
                        dy + full, x + full, w.map { $0 + full }, r, dw.map { $0 + full }, &totalX, D - full)
                }
                let meanGX = horizontalSum(totalX) / Float(D)
                for d in stride(from: 0, to: full, by: 16) {
                    E.store16(RMSNorm.inputGradient(dy + d, x + d, w.map { $0 + d }, r, meanGX, 16), to: dx + d)
                }
                if full < D {
                    let d = RMSNorm.inputGradient(
                        dy + full, x + full, w.map { $0 + full }, r, meanGX, D - full)
                    E.store(d, to: dx + full, count: D - full)
                }
            }
        }
        if let queryWeightGradient {
            partials.combine(rows: N, columns: 2 * D, from: 0, count: D, into: queryWeightGradient)
        }
        if let keyWeightGradient {
            partials.combine(rows: N, columns: 2 * D, from: D, count: D, into: keyWeightGradient)
        }
    }

    /// The first column of a query head or, from H on, of a key head.
    @_transparent
    private static func column(_ head: Int, _ columns: HeadColumns) -> Int {
        head < columns.heads ? columns.query(head) : columns.key(head - columns.heads)
    }

    /// 1 / √(mean of x² + `epsilon`).
    @_transparent
    private static func rstd<E: ActivationElement>(_ x: UnsafePointer<E>, _ D: Int, _ epsilon: Float) -> Float {
        var squares = SIMD16<Float>()
        for d in stride(from: 0, to: D, by: 16) {
            let value = E.load(x + d, count: D - d)
            squares.addProduct(value, value)
        }
        return 1 / (horizontalSum(squares) / Float(D) + epsilon).squareRoot()
    }
}
