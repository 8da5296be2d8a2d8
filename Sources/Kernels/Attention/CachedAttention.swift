// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// T: positions in the cache, H: heads, G: heads of keys and values, D: head size, C = H · D, W = (H + 2G) · D.

/// Attention of one new token to all before it, from a cache of keys and values; for generation. Arithmetic is fp32 in
/// both precisions.
package enum CachedAttention {
    /// Elements of `scores` that `forward` needs for the last of `positions` tokens.
    package static func scoreCount(positions: Int, columns: HeadColumns) -> Int {
        columns.groupSize * scoreStride(positions)
    }

    /// Elements from one head's scores to the next head's: whole vectors, so that powers can be written in place, and
    /// after them room for their sum.
    private static func scoreStride(_ positions: Int) -> Int { (positions + 15) / 16 * 16 + 16 }

    /// Copies the keys and values of `rows` tokens, which follow each other from `position` on, from `qkv` [rows, W]
    /// into the caches [T, G · D].
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func store<E: ActivationElement>(
        qkv: BufferSlice<E>, rows: Int, columns: HeadColumns, keys: BufferSlice<E>, values: BufferSlice<E>,
        at position: Int
    ) {
        let (G, D, W) = (columns.keyValueHeads, columns.headSize, columns.width)
        precondition(
            qkv.count >= rows * W && min(keys.count, values.count) >= (position + rows) * G * D,
            "a cache of keys and values is too small")
        for row in 0..<rows {
            let source = qkv.pointer + row * W
            for group in 0..<G {
                let place = ((position + row) * G + group) * D
                (keys.pointer + place).update(from: source + columns.key(group), count: D)
                (values.pointer + place).update(from: source + columns.value(group), count: D)
            }
        }
    }

    /// `output` [C] from `qkv` [W] of the token at `position`; its keys and values are first written to the caches
    /// [T, G · D]. `scores` has room for `scoreCount(positions: position + 1, columns: columns)`.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func forward<E: ActivationElement>(
        qkv: BufferSlice<E>, keys: BufferSlice<E>, values: BufferSlice<E>, position: Int, columns: HeadColumns,
        scale: Float, scores: BufferSlice<Float>, output: BufferSlice<E>
    ) {
        let count = position + 1
        precondition(
            output.count >= columns.outputWidth && scores.count >= scoreCount(positions: count, columns: columns),
            "attention was lent too little memory")
        store(qkv: qkv, rows: 1, columns: columns, keys: keys, values: values, at: position)
        for group in 0..<columns.keyValueHeads {
            let start = group * columns.headSize
            forwardGroup(
                group, qkv.pointer, keys: keys.pointer + start, values: values.pointer + start, count, columns, scale,
                scores.pointer, output.pointer)
        }
    }

    /// The heads that share keys and values, which are brought from memory once.
    @inline(__always)
    private static func forwardGroup<E: ActivationElement>(
        _ group: Int, _ qkv: UnsafePointer<E>, keys: UnsafePointer<E>, values: UnsafePointer<E>, _ count: Int,
        _ columns: HeadColumns, _ scale: Float, _ scores: UnsafeMutablePointer<Float>,
        _ output: UnsafeMutablePointer<E>
    ) {
        let D = columns.headSize
        let members = columns.groupSize
        let first = group * members
        let (cacheStride, scoreStride) = (columns.keyValueHeads * D, scoreStride(count))
        for t in 0..<count {
            for member in 0..<members {
                let q = UnsafePointer(qkv + columns.query(first + member))
                scores[member * scoreStride + t] = dot(q, keys + t * cacheStride, D)
            }
        }
        for member in 0..<members {
            let s = scores + member * scoreStride
            let total = writePowers(of: s, count, keys: count, minus: largestElement(s, count), scale, to: s)
            s[scoreStride - 1] = total
        }
        for d in stride(from: 0, to: D, by: 16) {
            let left = D - d
            for member in 0..<members {
                let s = scores + member * scoreStride
                var sum = SIMD16<Float>()
                for t in 0..<count { sum.addProduct(splat(s[t]), E.load(values + t * cacheStride + d, count: left)) }
                let inverse = splat(1 / s[scoreStride - 1])
                E.store(sum * inverse, to: output + (first + member) * D + d, count: left)
            }
        }
    }
}
