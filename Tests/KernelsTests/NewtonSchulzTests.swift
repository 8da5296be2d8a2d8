import Kernels
import TestSupport
import Testing

/// Orthogonalisation against the plain loops: `X ← aX + b(XXᵀ)X + c(XXᵀ)²X` in Double, five times.
@Suite struct NewtonSchulzTests {
    static func reference(_ matrix: [Double], _ shape: MatrixShape) -> [Double] {
        let isTurned = shape.rows > shape.columns
        let (M, N) = (min(shape.rows, shape.columns), max(shape.rows, shape.columns))
        let norm = max(1e-7, matrix.reduce(0) { $0 + $1 * $1 }.squareRoot())
        var x = matrix.map { $0 / norm }
        if isTurned { x = ReferenceKernels.transposed(x, rows: N, columns: M) }
        for _ in 0..<5 {
            let turned = ReferenceKernels.transposed(x, rows: M, columns: N)
            let gram = ReferenceKernels.matmul(x, turned, rows: M, inner: N, columns: M)
            let square = ReferenceKernels.matmul(gram, gram, rows: M, inner: M, columns: M)
            let polynomial = zip(gram, square).map { -4.7750 * $0 + 2.0315 * $1 }
            let product = ReferenceKernels.matmul(polynomial, x, rows: M, inner: M, columns: N)
            x = zip(x, product).map { 3.4445 * $0 + $1 }
        }
        return isTurned ? ReferenceKernels.transposed(x, rows: M, columns: N) : x
    }

    /// One strip of the symmetric products, two, three and four; edges of tiles and of strips; both ways round.
    static let shapes = [
        (1, 1), (1, 9), (9, 1), (5, 7), (7, 5), (16, 16), (17, 40), (33, 33), (32, 96), (96, 32), (64, 64), (63, 130),
        (130, 64), (128, 200), (145, 131), (192, 200), (270, 260), (300, 330),
    ].map { MatrixShape(rows: $0.0, columns: $0.1) }

    private func result(
        _ matrix: Operand<Float>, _ shape: MatrixShape, _ precision: Precision, planned: [MatrixShape] = []
    ) throws -> [Float] {
        try onEachThreadCount("\(shape) \(precision)") { compute in
            let orthogonalizer = try makeNewtonSchulz(compute, shapes: planned + [shape], precision: precision)
            let buffer = try Buffer<Float>(count: shape.count)
            // What other matrices leave in the memory is nothing to this one.
            for other in planned {
                let buffer = try Operand(TestRandom(2).numbers(other.count), Float.self)
                try orthogonalizer.orthogonalize(buffer.all, other)
            }
            buffer.set(matrix.buffer.array())
            try orthogonalizer.orthogonalize(buffer.all, shape)
            return ["matrix": buffer.array()]
        }["matrix"] ?? []
    }

    @Test(arguments: shapes) func agreesWithPlainLoops(shape: MatrixShape) throws {
        let matrix = try Operand(TestRandom(UInt64(shape.rows)).numbers(shape.count, scale: 3), Float.self)
        let expected = Self.reference(matrix.values, shape)
        let full = try result(matrix, shape, .fp32)
        #expect(relativeError(full, expected) < 2e-5)
        // Operands of 8 bits, whose errors the first iterations triple for small singular values.
        let half = try result(matrix, shape, .bf16)
        #expect(relativeError(half, expected) < 0.05)
        // A lone singular value takes all of an error; those of others even out.
        #expect(scaleError(half, expected) < (min(shape.rows, shape.columns) == 1 ? 0.06 : 0.01))
    }

    /// A matrix with orthogonal rows stays one: its singular values, all equal, go through the quintic alone.
    @Test(arguments: Precision.allCases) func equalSingularValues(precision: Precision) throws {
        let shape = MatrixShape(rows: 64, columns: 96)
        let matrix = try Operand((0..<shape.count).map { $0 / 96 == $0 % 96 ? 0.5 : 0 }, Float.self)
        var value = 0.125
        for _ in 0..<5 {
            let square = value * value
            value *= 3.4445 - 4.7750 * square + 2.0315 * square * square
        }
        let found = try result(matrix, shape, precision)
        for (index, number) in found.enumerated() {
            let expected = index / 96 == index % 96 ? value : 0
            #expect((Double(number) - expected).magnitude < (precision == .fp32 ? 1e-5 : 0.02), "element \(index)")
        }
    }

    @Test func theSizeOfTheMatrixDoesNotCount() throws {
        let shape = MatrixShape(rows: 20, columns: 31)
        let numbers = TestRandom(7).numbers(shape.count)
        let expected = Self.reference(numbers, shape)
        for scale in [1e-6, 1e15] {
            let matrix = try Operand(numbers.map { $0 * scale }, Float.self)
            #expect(relativeError(try result(matrix, shape, .fp32), expected) < 2e-5, "\(scale)")
        }
    }

    /// Below 10⁻⁷ the norm is taken for that, so zero stays zero.
    @Test(arguments: Precision.allCases) func smallNorms(precision: Precision) throws {
        let shape = MatrixShape(rows: 3, columns: 4)
        let zero = try Operand([Double](repeating: 0, count: 12), Float.self)
        #expect(try result(zero, shape, precision).allSatisfy { $0 == 0 })
        let small = try Operand(TestRandom(4).numbers(12, scale: 1e-9), Float.self)
        #expect(relativeError(try result(small, shape, .fp32), Self.reference(small.values, shape)) < 2e-5)
    }

    @Test func shapesShareTheMemory() throws {
        let shape = MatrixShape(rows: 40, columns: 70)
        let matrix = try Operand(TestRandom(9).numbers(shape.count), Float.self)
        for precision in Precision.allCases {
            let alone = try result(matrix, shape, precision)
            let others = [MatrixShape(rows: 130, columns: 90), MatrixShape(rows: 3, columns: 200), shape]
            expectSame(
                try result(matrix, shape, precision, planned: others), alone, "after other matrices, \(precision)")
        }
    }

    /// 4M²N + 2M³ an iteration.
    @Test func operationsOfAShape() {
        #expect(MatrixShape(rows: 3, columns: 5).operations == 5 * (4 * 9 * 5 + 2 * 27))
        #expect(MatrixShape(rows: 5, columns: 3).operations == MatrixShape(rows: 3, columns: 5).operations)
        #expect(MatrixShape(rows: 4, columns: 4).operations == 5 * 6 * 64)
    }
}

extension TestRandom {
    /// The first normal numbers of this seed.
    fileprivate func numbers(_ count: Int, scale: Double = 1) -> [Double] {
        var random = self
        return random.normal(count, scale: scale)
    }
}
