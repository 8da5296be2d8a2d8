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
                    output: Output.precision, bias: biased, accumulates: accumulates)
                let c = try Buffer<Output>(count: M * N)
                c.set(before.buffer.array())
                product.run(
                    try Operand(storedA, Input.self).all, try Operand(storedB, Input.self).all, into: c.all,
                    bias: biased ? bias.all : nil)
                // Sums of K products in fp32, then one rounding to the output's type.
                expectClose(
                    c.floats, expected, relative: storageError(Output.precision), scaled: 2e-6,
                    "\(what), \(threads) threads")
            }
        }
    }

    static let packedShapes = [
        (64, 64, 64), (65, 33, 97), (100, 1, 30), (129, 30, 1), (257, 100, 130), (300, 64, 1000),
    ]
    .map { Shape(rows: $0.0, inner: $0.1, columns: $0.2) }

    /// Products of many rows, whose right operand is packed first: once, and reused by a second product.
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
        func stored(_ a: Operand<E>) throws -> BufferSlice<E> {
            guard layout == .aTransposed else { return a.all }
            return try Operand(ReferenceKernels.transposed(a.values, rows: M, columns: K), E.self).all
        }
        for threads in 1...3 {
            let compute = try Compute(threadCount: threads)
            let workspace = try Workspace(compute)
            let operand = try PackedOperand(workspace)
            let product = try Matmul(
                workspace, layout, rows: M, inner: K, columns: N, input: E.precision, output: .fp32, bias: true,
                operand: operand)
            #expect(product.isPacked)
            let right = try Operand(storedB, E.self).buffer
            let c = try Buffer<Float>(count: M * N)
            for (left, reuses) in [(a, false), (other, true)] {
                // A reused operand is not read again.
                if reuses { right.set([E](repeating: E(rounding: .nan), count: right.count)) }
                product.run(try stored(left), right.all, into: c.all, bias: bias.all, reusingOperand: reuses)
                var expected = ReferenceKernels.matmul(left.values, b.values, rows: M, inner: K, columns: N)
                for i in expected.indices { expected[i] += bias.values[i % N] }
                expectClose(c.floats, expected, scaled: 2e-6, "\(shape) \(layout) \(E.precision), \(threads) threads")
            }
        }
    }

    /// What a right operand is packed whole or in parts for: the shapes of a head, and ends that fill no panel.
    static let pieceShapes = [(64, 64, 64), (65, 33, 97), (300, 64, 1000), (512, 130, 5003), (512, 5003, 200)].map {
        Shape(rows: $0.0, inner: $0.1, columns: $0.2)
    }

    @Test(
        "an operand that is packed in parts gives the same bits in less memory",
        .enabled(if: Compute.hasFastBFloat16, "packed operands are for CPUs with AVX-512 and bf16"),
        arguments: pieceShapes, [Matmul.Layout.plain, .bTransposed])
    func piecesAgree(shape: Shape, layout: Matmul.Layout) throws {
        try checkPieces(shape, layout, Float.self)
        try checkPieces(shape, layout, BFloat16.self)
    }

    private func checkPieces<E: ActivationElement>(_ shape: Shape, _ layout: Matmul.Layout, _: E.Type) throws {
        let (M, K, N) = (shape.rows, shape.inner, shape.columns)
        var random = TestRandom(UInt64(M + K + N))
        let a = try Operand(random.normal(M * K), E.self)
        let b = try Operand(random.normal(K * N), E.self)
        let other = try Operand(random.normal(K * N), E.self)
        let bias = try Operand(random.normal(N), Float.self)
        let compute = try Compute(threadCount: 2)
        /// The result, and the bytes of the packed operand.
        func run(limit: Int, own: Bool = false) throws -> (bits: [UInt32], bytes: Int) {
            let memory = Memory()
            let workspace = try Workspace(compute, memory: memory)
            let product = try Matmul(
                workspace, layout, rows: M, inner: K, columns: N, input: E.precision, output: .fp32, bias: true,
                operand: own ? PackedOperand(workspace) : nil, operandLimit: limit)
            #expect(product.isPacked)
            let c = try Buffer<Float>(count: M * N)
            // Another operand first: what is packed in memory for all, or in parts, cannot be reused.
            product.run(a.all, other.all, into: c.all, bias: bias.all)
            product.run(a.all, b.all, into: c.all, bias: bias.all, reusingOperand: true)
            return (c.floats.map(\.bitPattern), try #require(memory.bytes[.operands]))
        }
        let whole = try run(limit: .max)
        for limit in [1, 3 * 64 * 4 * K, whole.bytes - 1] {
            let pieces = try run(limit: limit)
            var same = pieces.bits == whole.bits
            #expect(same, "\(E.precision), parts of \(limit) bytes")
            guard limit < whole.bytes, N > 64 else { continue }
            #expect(pieces.bytes < whole.bytes, "\(E.precision), parts of \(limit) bytes")
            same = try run(limit: limit, own: true).bits == whole.bits
            #expect(same, "parts are packed anew")
        }
    }

    /// Weights that are rounded as they are packed: the bits of those that were rounded before.
    @Test(
        .enabled(if: Compute.hasFastBFloat16, "packed operands are for CPUs with AVX-512 and bf16"),
        arguments: packedShapes + pieceShapes, [Matmul.Layout.plain, .bTransposed])
    func roundsWhatItPacks(shape: Shape, layout: Matmul.Layout) throws {
        let (M, K, N) = (shape.rows, shape.inner, shape.columns)
        var random = TestRandom(UInt64(M + 2 * K + 3 * N))
        let a = try Operand(random.normal(M * K), BFloat16.self)
        var values = random.normal(K * N).map { Float($0) }
        // Ties, and what the instruction takes as zero.
        for i in stride(from: 0, to: values.count, by: 7) {
            values[i] = Float(bitPattern: values[i].bitPattern & 0xFFFF_0000 | 0x8000)
        }
        for i in stride(from: 3, to: values.count, by: 50) { values[i] = Float(bitPattern: 0x1_8000) }
        let b = try Buffer<Float>(count: K * N)
        b.set(values)
        for (threads, limit) in [(1, .max), (2, .max), (2, 3 * 64 * 2 * K)] {
            let workspace = try Workspace(Compute(threadCount: threads))
            let product = try Matmul(
                workspace, layout, rows: M, inner: K, columns: N, input: .bf16, output: .fp32, operandLimit: limit)
            let (expected, c) = (try Buffer<Float>(count: M * N), try Buffer<Float>(count: M * N))
            product.run(a.all, try Operand(values.map { Double($0) }, BFloat16.self).all, into: expected.all)
            product.run(a.all, b.all, into: c.all)
            let same = c.floats.map(\.bitPattern) == expected.floats.map(\.bitPattern)
            #expect(same, "\(threads) threads, parts of \(limit) bytes")
            #expect(c.floats.contains { $0 != 0 })
        }
    }
}
