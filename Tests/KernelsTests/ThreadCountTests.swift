import Kernels
import Testing

/// The number of threads decides who computes what, and never the result.
@Suite struct ThreadCountTests {
    @Test(arguments: [0, 1, 15, 16, 17, 32, 48, 100, 384, 2048], [1, 2, 3, 4, 7, 16])
    func sharesCoverEverythingInOrderWithIdleThreadsLast(count: Int, threads: Int) {
        let shares = (0..<threads).map { ThreadPool.share(of: count, grain: 16, part: $0, of: threads) }
        #expect(shares.flatMap(Array.init) == Array(0..<count))
        #expect(shares.dropLast().allSatisfy { $0.upperBound % 16 == 0 || $0.upperBound == count })
        let lengths = shares.map { ($0.count + 15) / 16 }
        #expect(lengths == lengths.sorted(by: >))
        #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
    }

    /// Rows of the result, length of the sums, columns; 32 rows and 4 or 7 threads leave threads without work, and sums
    /// over 2100 rows turn a transposed operand round in several pieces.
    @Test(arguments: [
        (32, 64, 96), (16, 40, 33), (96, 256, 288), (160, 512, 480), (384, 512, 384), (30, 69, 90), (208, 2100, 70),
    ])
    func everyNumberOfThreadsHasTheSameBits(rows: Int, inner: Int, columns: Int) throws {
        for layout in [Matmul.Layout.plain, .bTransposed, .aTransposed] {
            let alone = try product(layout, rows, inner, columns, Float.self, threads: 1)
            #expect(alone.allSatisfy { Float(bitPattern: $0).isFinite })
            for threads in [2, 3, 4, 7] {
                #expect(
                    try product(layout, rows, inner, columns, Float.self, threads: threads) == alone,
                    "\(layout), \(threads) threads")
            }
        }
    }

    @Test(
        .enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16"),
        arguments: [(32, 64, 96), (96, 256, 288), (160, 512, 480), (384, 512, 384), (350, 2100, 70)])
    func bf16Too(rows: Int, inner: Int, columns: Int) throws {
        for layout in [Matmul.Layout.plain, .bTransposed, .aTransposed] {
            let alone = try product(layout, rows, inner, columns, BFloat16.self, threads: 1)
            for threads in [2, 3, 4, 7] {
                #expect(
                    try product(layout, rows, inner, columns, BFloat16.self, threads: threads) == alone,
                    "\(layout), \(threads) threads")
            }
        }
    }

    /// The result's bits; it starts as NaN, so a part that nobody computes shows.
    private func product<E: ActivationElement>(
        _ layout: Matmul.Layout, _ rows: Int, _ inner: Int, _ columns: Int, _ type: E.Type, threads: Int
    ) throws -> [UInt32] {
        var state: UInt64 = 1
        func values(_ count: Int) throws -> Buffer<E> {
            let buffer = try Buffer<E>(count: count)
            buffer.set(
                (0..<count).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return E(rounding: Float(Int(state >> 40)) / Float(1 << 24) - 0.5)
                })
            return buffer
        }
        let a = try values(rows * inner)
        let b = try values(inner * columns)
        let c = try Buffer<Float>(count: rows * columns)
        c.set([Float](repeating: .nan, count: rows * columns))
        let product = try Matmul(
            Workspace(Compute(threadCount: threads)), layout, rows: rows, inner: inner, columns: columns,
            input: E.precision,
            output: .fp32)
        product.run(a.all, b.all, into: c.all)
        return c.array().map(\.bitPattern)
    }
}
