// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// M, N: a matrix as it is iterated on, X[M, N] with M ≤ N; one with more rows than columns is turned over.

/// Rows and columns of a matrix.
package struct MatrixShape: Hashable, Sendable, CustomStringConvertible {
    package let rows, columns: Int

    package init(rows: Int, columns: Int) { (self.rows, self.columns) = (rows, columns) }

    package var count: Int { rows * columns }
    /// Floating-point operations of its orthogonalisation, each product counted as a whole: 4M²N + 2M³ an iteration.
    package var operations: Int {
        let (m, n) = (min(rows, columns), max(rows, columns))
        return Quintic.iterations
            * saturatingProduct(saturatingProduct(2 * m, m), saturatingSum(2 * n, m))
    }
    package var description: String { "\(rows) × \(columns)" }
}

/// What brings a matrix near to the orthogonal one of the same singular vectors.
package protocol Orthogonalizer: AnyObject {
    /// Orthogonalises a matrix in place.
    /// - Parameter shape: one of those that it was planned for.
    /// - Throws: `KernelError` where a product failed; the matrix is void then.
    func orthogonalize(_ matrix: BufferSlice<Float>, _ shape: MatrixShape) throws(KernelError)
}

/// Makes one for matrices of these shapes, whose operands are stored in this precision; sums are fp32.
/// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
package func makeNewtonSchulz(
    _ compute: Compute, shapes: [MatrixShape], precision: Precision, memory: Memory = Memory()
) throws(KernelError) -> any Orthogonalizer {
    switch precision {
    case .fp32: try NewtonSchulz<Float>(compute, shapes: shapes, memory: memory)
    case .bf16: try NewtonSchulz<BFloat16>(compute, shapes: shapes, memory: memory)
    }
}

/// The quintic of Jordan 2024, X ← aX + b(XXᵀ)X + c(XXᵀ)²X: after five of them singular values are between 0.7 and 1.2.
package enum Quintic {
    /// How often it is applied.
    package static let iterations = 5
    static let polynomial = SymmetricMirror.Polynomial(a: 3.4445, b: -4.7750, c: 2.0315)
    /// The least norm that a matrix is divided by.
    static let leastNorm = 1e-7
}

/// Newton–Schulz iterations with products that are planned once for each shape. All matrices use the same memory, one
/// after the other.
///
/// Of the symmetric products XXᵀ and (XXᵀ)² the lower half is computed and mirrored. With A = XXᵀ an iteration is one
/// further product, (aI + bA + cA²) · X. The bits depend on matrix, shape and precision alone.
final class NewtonSchulz<E: ActivationElement>: Orthogonalizer {
    private struct Plan {
        /// Whether the matrix has more rows than columns.
        let isTurned: Bool
        let M, N: Int
        let gram, square: SymmetricProduct
        /// P[M, M] · X.
        let next: Matmul
        /// The same in fp32, into the place that the matrix had; turned back, that is Xᵀ · P.
        let last: Matmul
    }

    private let workspace: Workspace
    private let plans: [MatrixShape: Plan]
    /// X and the next X.
    private let iterates: (Buffer<E>, Buffer<E>)
    /// A as operand of its square, then the polynomial in it.
    private let operand: Buffer<E>
    private let gramSums, squareSums: Buffer<Float>
    private let mirror: SymmetricMirror
    private let norms: Buffer<Double>

    init(_ compute: Compute, shapes: [MatrixShape], memory: Memory) throws(KernelError) {
        let most = shapes.reduce(0) { max($0, $1.count) }
        let side = shapes.reduce(0) { max($0, min($1.rows, $1.columns)) }
        iterates = (try memory.buffer(.scratch, most), try memory.buffer(.scratch, most))
        operand = try memory.buffer(.scratch, side, side)
        gramSums = try memory.buffer(.scratch, side, side)
        squareSums = try memory.buffer(.scratch, side, side)
        mirror = try SymmetricMirror(compute.pool, memory: memory)
        norms = try Vector.squareSums(count: most, memory: memory)
        try memory.requireRoom()
        workspace = try Workspace(compute, memory: memory)
        var plans: [MatrixShape: Plan] = [:]
        for shape in shapes where plans[shape] == nil { plans[shape] = try Self.plan(shape, workspace) }
        self.plans = plans
    }

    private static func plan(_ shape: MatrixShape, _ workspace: Workspace) throws(KernelError) -> Plan {
        let isTurned = shape.rows > shape.columns
        let (M, N) = (min(shape.rows, shape.columns), max(shape.rows, shape.columns))
        return Plan(
            isTurned: isTurned, M: M, N: N,
            gram: try SymmetricProduct(workspace, rows: M, inner: N, input: E.precision),
            square: try SymmetricProduct(workspace, rows: M, inner: M, input: E.precision),
            next: try Matmul(
                workspace, .plain, rows: M, inner: M, columns: N, input: E.precision, output: E.precision),
            last: try isTurned
                ? Matmul(workspace, .aTransposed, rows: N, inner: M, columns: M, input: E.precision, output: .fp32)
                : Matmul(workspace, .plain, rows: M, inner: M, columns: N, input: E.precision, output: .fp32))
    }

    func orthogonalize(_ matrix: BufferSlice<Float>, _ shape: MatrixShape) throws(KernelError) {
        guard let plan = plans[shape] else { preconditionFailure("no plan for a matrix of \(shape.description)") }
        precondition(matrix.count == shape.count, "\(matrix.count) elements of \(shape.description)")
        var (x, other) = (iterates.0, iterates.1)
        start(matrix, plan, in: x, turningIn: other)
        for iteration in 1...Quintic.iterations {
            plan.gram.run(x.all, into: gramSums)
            mirror.copy(plan.gram, gramSums, into: operand)
            plan.square.run(operand.all, into: squareSums)
            mirror.polynomial(plan.gram, gramSums, squareSums, Quintic.polynomial, into: operand)
            if iteration < Quintic.iterations {
                plan.next.run(operand.all, x.all, into: other.all)
                swap(&x, &other)
            } else if plan.isTurned {
                plan.last.run(x.all, operand.all, into: matrix)
            } else {
                plan.last.run(operand.all, x.all, into: matrix)
            }
        }
        try workspace.compute.requireSuccess()
    }

    /// X: the matrix over its norm, rounded, and turned over where that makes it wide.
    private func start(_ matrix: BufferSlice<Float>, _ plan: Plan, in x: Buffer<E>, turningIn other: Buffer<E>) {
        let pool = workspace.compute.pool
        let norm = Vector.sumOfSquares(pool, matrix, sums: norms).squareRoot()
        let target = plan.isTurned ? other : x
        Self.divide(matrix, by: Float(max(norm, Quintic.leastNorm)), into: target.all, pool)
        guard plan.isTurned else { return }
        pool.split(plan.M, grain: 16) { thread, columns in
            Packing.transpose(
                other.base + columns.lowerBound, rows: plan.N, stride: plan.M, columns: columns.count,
                to: x.base + columns.lowerBound * plan.N, gathering: workspace.gathered[thread].base)
        }
    }

    private static func divide(
        _ source: BufferSlice<Float>, by divisor: Float, into target: BufferSlice<E>, _ pool: ThreadPool
    ) {
        pool.split(source.count, grain: 4096) { _, range in
            quotients(source.pointer, divisor, range, target.pointer)
        }
    }

    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func quotients(
        _ source: UnsafePointer<Float>, _ divisor: Float, _ range: Range<Int>, _ target: UnsafeMutablePointer<E>
    ) {
        let full = range.lowerBound + range.count / 16 * 16
        for i in stride(from: range.lowerBound, to: full, by: 16) {
            E.store16(Float.load16(source + i) / splat(divisor), to: target + i)
        }
        for i in full..<range.upperBound { target[i] = E(rounding: source[i] / divisor) }
    }
}
