import Kernels
import TestSupport
import Testing

@Suite struct MatmulTests {
    struct Shape: CustomTestStringConvertible {
        var rows: Int
        var inner: Int
        var columns: Int
        var testDescription: String { "\(rows) × \(inner) × \(columns)" }
    }

    static let shapes = [
        (1, 1, 1), (1, 30, 97), (7, 16, 5), (15, 33, 64), (16, 24, 24), (17, 64, 90), (63, 97, 30), (65, 130, 48),
        (257, 30, 120), (300, 64, 1000),
    ].map { Shape(rows: $0.0, inner: $0.1, columns: $0.2) }

    @Test(arguments: shapes, [Matmul.Layout.plain, .aTransposed, .bTransposed])
    func agrees(shape: Shape, layout: Matmul.Layout) throws {
        try check(shape, layout, Float.self, Float.self)
        try check(shape, layout, BFloat16.self, Float.self)
        try check(shape, layout, BFloat16.self, BFloat16.self)
    }

    private func check<Input: ActivationElement, Output: ActivationElement>(
        _ shape: Shape, _ layout: Matmul.Layout, _: Input.Type, _: Output.Type
    ) throws {
        let (M, K, N) = (shape.rows, shape.inner, shape.columns)
        var random = TestRandom(UInt64(M * 1000 + N))
        let a = try Operand(random.normal(M * K), Input.self)
        let b = try Operand(random.normal(K * N), Input.self)
        let bias = try Operand(random.normal(N), Float.self)
        let before = try Operand(random.normal(M * N), Output.self)
        let storedA = layout == .aTransposed ? ReferenceKernels.transposed(a.values, rows: M, columns: K) : a.values
        let storedB = layout == .bTransposed ? ReferenceKernels.transposed(b.values, rows: K, columns: N) : b.values
        let product = ReferenceKernels.matmul(a.values, b.values, rows: M, inner: K, columns: N)
        let gap = 3
        for (biased, accumulates) in [(false, false), (true, false), (false, true)] {
            var expected = product
            for i in expected.indices {
                if biased { expected[i] += bias.values[i % N] }
                if accumulates { expected[i] += before.values[i] }
            }
            let what = "\(shape) \(layout) \(Input.precision) → \(Output.precision)"
            for threads in 1...3 {
                let compute = try Compute(threadCount: threads)
                let product = try Matmul(
                    Workspace(compute), layout, rows: M, inner: K, columns: N, input: Input.precision,
                    output: Output.precision,
                    cStride: N + gap, bias: biased, accumulates: accumulates)
                let c = try Buffer<Output>(count: M * (N + gap))
                let old = before.buffer.array()
                for m in 0..<M {
                    c.set(Array(old[m * N..<(m + 1) * N]), at: m * (N + gap))
                    c.set([Output](repeating: Output(rounding: 7), count: gap), at: m * (N + gap) + N)
                }
                product.run(
                    try Operand(storedA, Input.self).all, try Operand(storedB, Input.self).all, into: c.all,
                    bias: biased ? bias.all : nil)
                let result = c.floats.enumerated()
                let between = result.filter { $0.offset % (N + gap) >= N }.map(\.element)
                #expect(between.allSatisfy { $0 == 7 }, "gaps of \(what)")
                // Sums of K products in fp32, then one rounding to the output's type.
                expectClose(
                    result.filter { $0.offset % (N + gap) < N }.map(\.element), expected,
                    relative: storageError(Output.precision), scaled: 2e-6, "\(what), \(threads) threads")
            }
        }
    }

    static let packedShapes = [
        (64, 64, 64), (65, 33, 97), (100, 1, 30), (129, 30, 1), (257, 100, 130), (300, 64, 1000),
    ]
    .map { Shape(rows: $0.0, inner: $0.1, columns: $0.2) }

    /// Products of many rows without gaps, whose right operand is packed first: once, and reused by a second product.
    @Test(
        .enabled(if: Compute.hasFastBFloat16, "packed operands are for CPUs with AVX-512 and bf16"),
        arguments: packedShapes, [Matmul.Layout.plain, .aTransposed, .bTransposed])
    func packedAgrees(shape: Shape, layout: Matmul.Layout) throws {
        try checkPacked(shape, layout, Float.self)
        try checkPacked(shape, layout, BFloat16.self)
    }

    private func checkPacked<E: ActivationElement>(_ shape: Shape, _ layout: Matmul.Layout, _: E.Type) throws {
        let (M, K, N) = (shape.rows, shape.inner, shape.columns)
        var random = TestRandom(UInt64(M * 1000 + N + 1))
        let a = try Operand(random.normal(M * K), E.self)
        let other = try Operand(random.normal(M * K), E.self)
        let b = try Operand(random.normal(K * N), E.self)
        let bias = try Operand(random.normal(N), Float.self)
        let storedB = layout == .bTransposed ? ReferenceKernels.transposed(b.values, rows: K, columns: N) : b.values
        // Rows of a transposed a and of b that are parts of wider matrices.
        let gap = layout == .aTransposed ? 5 : 0
        func stored(_ a: Operand<E>) throws -> Buffer<E> {
            guard layout == .aTransposed else { return a.buffer }
            let turned = ReferenceKernels.transposed(a.values, rows: M, columns: K)
            let wide = try Buffer<E>(count: K * (M + gap))
            for k in 0..<K { wide.set(turned[k * M..<(k + 1) * M].map { E(rounding: Float($0)) }, at: k * (M + gap)) }
            return wide
        }
        let width = layout == .bTransposed ? K : N
        let wideB = try Buffer<E>(count: K * N / width * (width + 3))
        for row in 0..<K * N / width {
            wideB.set(storedB[row * width..<(row + 1) * width].map { E(rounding: Float($0)) }, at: row * (width + 3))
        }
        for threads in 1...3 {
            let compute = try Compute(threadCount: threads)
            let workspace = try Workspace(compute)
            let operand = try PackedOperand(workspace)
            let product = try Matmul(
                workspace, layout, rows: M, inner: K, columns: N, input: E.precision, output: .fp32,
                aStride: layout == .aTransposed ? M + gap : nil, bStride: width + 3, bias: true, operand: operand)
            #expect(product.isPacked)
            let c = try Buffer<Float>(count: M * N)
            for (left, reuses) in [(a, false), (other, true)] {
                let storedA = try stored(left)
                // A reused operand is not read again.
                if reuses { wideB.set([E](repeating: E(rounding: .nan), count: wideB.count)) }
                product.run(storedA.all, wideB.all, into: c.all, bias: bias.all, reusingOperand: reuses)
                var expected = ReferenceKernels.matmul(left.values, b.values, rows: M, inner: K, columns: N)
                for i in expected.indices { expected[i] += bias.values[i % N] }
                expectClose(c.floats, expected, scaled: 2e-6, "\(shape) \(layout) \(E.precision), \(threads) threads")
            }
            for row in 0..<K * N / width {
                wideB.set(
                    storedB[row * width..<(row + 1) * width].map { E(rounding: Float($0)) }, at: row * (width + 3))
            }
        }
    }

    /// Rows of a wider matrix as operand, which oneDNN reads where it is.
    @Test func strides() throws {
        let (M, K, N) = (20, 33, 17)
        var random = TestRandom(8)
        let a = try Operand(random.normal(M * K), Float.self)
        let b = try Operand(random.normal(K * N), Float.self)
        let wide = try Buffer<Float>(count: M * (K + 31))
        for m in 0..<M { wide.set(Array(a.buffer.array()[m * K..<(m + 1) * K]), at: m * (K + 31)) }
        let compute = try Compute(threadCount: 2)
        let product = try Matmul(
            Workspace(compute), .plain, rows: M, inner: K, columns: N, input: .fp32, output: .fp32, aStride: K + 31)
        let c = try Buffer<Float>(count: M * N)
        product.run(wide.all, b.all, into: c.all)
        let expected = ReferenceKernels.matmul(a.values, b.values, rows: M, inner: K, columns: N)
        #expect(relativeError(c.array(), expected) < 1e-6)
    }
}
