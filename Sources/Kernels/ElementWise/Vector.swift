/// Whole-buffer operations.
package enum Vector {
    /// `target` += `source`.
    package static func add(_ source: BufferSlice<Float>, into target: BufferSlice<Float>) {
        precondition(target.count >= source.count, "room for \(target.count) of \(source.count) elements")
        let (s, t) = (source.pointer, target.pointer)
        for i in stride(from: 0, to: source.count, by: 16) {
            let left = source.count - i
            Float.store(Float.load(t + i, count: left) + Float.load(s + i, count: left), to: t + i, count: left)
        }
    }

    /// `target` = `residual` + `branch`: a residual stream and what a layer adds to it. `target` may be `residual`.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func add<E: ActivationElement>(
        _ pool: ThreadPool, residual: BufferSlice<Float>, branch: BufferSlice<E>, into target: BufferSlice<Float>
    ) {
        precondition(
            min(branch.count, target.count) >= residual.count,
            "\(branch.count) elements, and room for \(target.count), to add to \(residual.count)")
        pool.split(residual.count, grain: 4096) { _, range in
            for i in stride(from: range.lowerBound, to: range.upperBound, by: 16) {
                let left = range.upperBound - i
                let sum = Float.load(residual.pointer + i, count: left) + E.load(branch.pointer + i, count: left)
                Float.store(sum, to: target.pointer + i, count: left)
            }
        }
    }

    /// `target` = `source`.
    package static func copy(_ source: BufferSlice<Float>, into target: BufferSlice<Float>) {
        precondition(target.count >= source.count, "room for \(target.count) of \(source.count) elements")
        target.pointer.update(from: source.pointer, count: source.count)
    }

    /// `target` = `source`, rounded.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func round<E: ActivationElement>(
        _ pool: ThreadPool, _ source: BufferSlice<Float>, into target: BufferSlice<E>
    ) {
        precondition(target.count >= source.count, "room for \(target.count) of \(source.count) elements")
        pool.split(source.count, grain: 4096) { _, range in
            for i in stride(from: range.lowerBound, to: range.upperBound, by: 16) {
                let left = range.upperBound - i
                E.store(Float.load(source.pointer + i, count: left), to: target.pointer + i, count: left)
            }
        }
    }

    /// Elements of a chunk whose squares are summed together; chunks are then added in order, in Double.
    static let chunk = 1 << 14

    /// Memory that `sumOfSquares` needs for `count` elements.
    /// - Throws: `KernelError` when it cannot be reserved.
    package static func squareSums(count: Int, memory: Memory = Memory()) throws(KernelError) -> Buffer<Double> {
        try memory.buffer(.scratch, (count + chunk - 1) / chunk)
    }

    /// The sum of squares, with the same bits at any number of threads. `sums` comes from `squareSums(count:)`.
    package static func sumOfSquares(_ pool: ThreadPool, _ x: BufferSlice<Float>, sums: Buffer<Double>) -> Double {
        let chunks = (x.count + chunk - 1) / chunk
        precondition(sums.count >= chunks, "room for \(sums.count) sums, \(chunks) needed")
        pool.split(chunks) { _, range in
            for index in range {
                let start = index * chunk
                sums.base[index] = sumOfSquares(x.pointer + start, min(chunk, x.count - start))
            }
        }
        var total = 0.0
        for index in 0..<chunks { total += sums.base[index] }
        return total
    }

    private static func sumOfSquares(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
        // Eight lanes of Double: squares of fp32 gradients may leave fp32's range.
        var a = SIMD8<Double>()
        var b = SIMD8<Double>()
        for i in stride(from: 0, to: count, by: 16) {
            let v = Float.load(x + i, count: count - i)
            let low = SIMD8<Double>(v.lowHalf)
            let high = SIMD8<Double>(v.highHalf)
            a.addProduct(low, low)
            b.addProduct(high, high)
        }
        return (a + b).sum()
    }
}
