/// Whole-buffer operations.
package enum Vector {
    /// `target` += `source` over a range of both.
    package static func add(_ source: Buffer<Float>, into target: Buffer<Float>, range: Range<Int>) {
        requireRange(range, source.count, target.count)
        let s = source.base
        let t = target.base
        for i in stride(from: range.lowerBound, to: range.upperBound, by: 16) {
            let left = range.upperBound - i
            Float.store(Float.load(t + i, count: left) + Float.load(s + i, count: left), to: t + i, count: left)
        }
    }

    /// `sum` = `a` + `b`; may be the same memory as either.
    package static func add(_ a: BufferSlice<Float>, _ b: BufferSlice<Float>, into sum: BufferSlice<Float>) {
        precondition(min(a.count, b.count) >= sum.count, "too few elements for a sum of \(sum.count)")
        for i in stride(from: 0, to: sum.count, by: 16) {
            let left = sum.count - i
            Float.store(
                Float.load(a.pointer + i, count: left) + Float.load(b.pointer + i, count: left), to: sum.pointer + i,
                count: left)
        }
    }

    /// Copies a range of `source` to the same range of `target`.
    package static func copy(_ source: Buffer<Float>, into target: Buffer<Float>, range: Range<Int>) {
        requireRange(range, source.count, target.count)
        (target.base + range.lowerBound).update(from: source.base + range.lowerBound, count: range.count)
    }

    private static func requireRange(_ range: Range<Int>, _ a: Int, _ b: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= min(a, b), "range \(range) of \(a) and \(b) elements")
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
