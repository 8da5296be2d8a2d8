// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// T: positions in the cache, H: heads, D: head size, C = H · D.

/// Attention of one new token to all before it, from a cache of keys and values. fp32; for generation.
package enum CachedAttention {
    /// `output` [C] from `qkv` [3C] of the token at `position`; its k and v are first written to the caches [T, C].
    package static func forward(
        qkv: BufferSlice<Float>, keys: BufferSlice<Float>, values: BufferSlice<Float>, position: Int, heads: Int,
        headSize D: Int, scale: Float, scores: BufferSlice<Float>, output: BufferSlice<Float>
    ) {
        let C = heads * D
        precondition(
            qkv.count >= 3 * C && min(keys.count, values.count) >= (position + 1) * C && output.count >= C
                && scores.count >= (position + 16) / 16 * 16, "attention was lent too little memory")
        (keys.pointer + position * C).update(from: qkv.pointer + C, count: C)
        (values.pointer + position * C).update(from: qkv.pointer + 2 * C, count: C)
        let count = position + 1
        for head in 0..<heads {
            let q = UnsafePointer(qkv.pointer + head * D)
            let s = scores.pointer
            for t in 0..<count { s[t] = dot(q, UnsafePointer(keys.pointer + t * C + head * D), D) }
            // The scores' memory is padded to whole vectors, so the powers can be written in place.
            let most = largestElement(s, count)
            let total = writePowers(of: s, count, keys: count, minus: most, scale, to: s)
            let y = output.pointer + head * D
            for d in stride(from: 0, to: D, by: 16) {
                let left = D - d
                var sum = SIMD16<Float>()
                for t in 0..<count {
                    sum.addProduct(splat(s[t]), Float.load(values.pointer + t * C + head * D + d, count: left))
                }
                Float.store(sum * splat(1 / total), to: y + d, count: left)
            }
        }
    }
}
