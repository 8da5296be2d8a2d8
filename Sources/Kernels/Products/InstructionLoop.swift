/// The multiplication that products are made of, from registers alone: what no product can be faster than.
package enum InstructionLoop {
    /// Floating-point operations of `run` on each thread.
    package static func operations<E: ActivationElement>(rounds: Int, _: E.Type) -> Double {
        // Sixteen sums of sixteen lanes; a word is one number or two, each multiplied and added.
        Double(rounds) * 16 * 16 * (E.precision == .bf16 ? 4 : 2)
    }

    /// Adds sixteen products of vectors `rounds` times on every thread; `sums` gets one number of each, so that nothing can be
    /// left out.
    package static func run<E: ActivationElement>(
        _ pool: ThreadPool, rounds: Int, _ type: E.Type, into sums: Buffer<Float>
    ) {
        precondition(sums.count >= pool.threadCount, "a sum for each thread")
        pool.run { thread in sums.base[thread] = add(rounds, type) }
    }

    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func add<E: ActivationElement>(_ rounds: Int, _ type: E.Type) -> Float {
        // As many sums as hide the instruction's latency.
        var sums = InlineArray<16, SIMD16<Float>>(repeating: SIMD16())
        // 1 in fp32, and twice 1 in bf16.
        let word: UInt32 = E.precision == .bf16 ? 0x3f80_3f80 : 0x3f80_0000
        let words = Words(repeating: word)
        for _ in 0..<rounds {
            for i in 0..<16 { sums[unchecked: i] = PackedProduct.dot(type, sums[unchecked: i], word, words) }
        }
        var total = SIMD16<Float>()
        for i in 0..<16 { total += sums[unchecked: i] }
        return horizontalSum(total)
    }
}
