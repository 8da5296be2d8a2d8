// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// M, K: c[M, M] = x[M, K] · x[M, K]ᵀ.

import CInstructions

/// The lower half of x · xᵀ, in fp32: strips of rows, each as far as its own last column.
///
/// Strips lie one behind the other. Four of them are 5/8 of the whole product; x is packed once for all.
struct SymmetricProduct {
    /// Rows of c, with the columns before their end.
    struct Strip {
        let rows: Range<Int>
        /// Where it begins among the strips.
        let start: Int
        /// Columns of c, and elements from one row of it to the next.
        var columns: Int { rows.upperBound }
    }

    let M: Int
    let strips: [Strip]
    private let K: Int
    private let products: [Matmul]

    /// Strips begin at multiples of this, which is what a packed operand is cut into and what packing is worth for.
    private static var grain: Int { PackedOperand.panelWidth }

    /// The cut of M rows, a function of M alone: up to four strips, none below 64 rows unless all are.
    static func strips(rows M: Int) -> [Strip] {
        let panels = max(1, M / grain)
        let count = min(4, panels)
        var start = 0
        return (0..<count).map { index in
            let share = ThreadPool.share(of: panels, grain: 1, part: index, of: count)
            let rows = share.lowerBound * grain..<(index == count - 1 ? M : share.upperBound * grain)
            defer { start += rows.count * rows.upperBound }
            return Strip(rows: rows, start: start)
        }
    }

    /// - Throws: `KernelError` when oneDNN cannot plan a product or memory cannot be reserved.
    init(_ workspace: Workspace, rows M: Int, inner K: Int, input: Precision) throws(KernelError) {
        (self.M, self.K) = (M, K)
        strips = Self.strips(rows: M)
        var products: [Matmul] = []
        for strip in strips {
            products.append(
                try Matmul(
                    workspace, .bTransposed, rows: strip.rows.count, inner: K, columns: strip.columns, input: input,
                    output: .fp32))
        }
        self.products = products
    }

    /// Computes all strips; `lower` has room for M · M numbers.
    func run<E: ActivationElement>(_ x: BufferSlice<E>, into lower: Buffer<Float>) {
        // The last strip has all columns: what it packs has the panels of the others at the same places.
        var isPacked = false
        for index in strips.indices.reversed() {
            let (strip, product) = (strips[index], products[index])
            product.run(
                x[strip.rows.lowerBound * K..<strip.rows.upperBound * K], x[0..<strip.columns * K],
                into: lower[strip.start..<strip.start + strip.rows.count * strip.columns], reusingOperand: isPacked)
            isPacked = isPacked || strip.rows.upperBound == M && product.isPacked
        }
    }
}

/// Makes whole symmetric matrices of the strips of their lower halves, in tiles of 16 × 16.
struct SymmetricMirror {
    private let pool: ThreadPool
    /// A tile and the same turned over, for each thread.
    private let tiles: Buffer<Float>

    /// - Throws: `KernelError` when memory cannot be reserved.
    init(_ pool: ThreadPool, memory: Memory) throws(KernelError) {
        self.pool = pool
        tiles = try memory.buffer(.scratch, pool.threadCount, 512)
    }

    /// target[M, M] = c, of which `lower` has the strips.
    func copy<E: ActivationElement>(_ cut: SymmetricProduct, _ lower: Buffer<Float>, into target: Buffer<E>) {
        fill(cut, lower.base, nil, Polynomial(), target.base)
    }

    /// target[M, M] = a · I + b · first + c · second, cut alike.
    func polynomial<E: ActivationElement>(
        _ cut: SymmetricProduct, _ first: Buffer<Float>, _ second: Buffer<Float>, _ polynomial: Polynomial,
        into target: Buffer<E>
    ) {
        fill(cut, first.base, second.base, polynomial, target.base)
    }

    /// Coefficients of I, of a matrix and of another one.
    struct Polynomial {
        var a: Float = 0
        var b: Float = 1
        var c: Float = 0
    }

    private func fill<E: ActivationElement>(
        _ cut: SymmetricProduct, _ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>?,
        _ polynomial: Polynomial, _ target: UnsafeMutablePointer<E>
    ) {
        let M = cut.M
        pool.run { thread in
            // Every row of tiles is longer than the one before.
            for row in stride(from: 16 * thread, to: M, by: 16 * pool.threadCount) {
                for strip in cut.strips where strip.rows.contains(row) {
                    let offset = strip.start + (row - strip.rows.lowerBound) * strip.columns
                    Self.fillRows(
                        row, M, first + offset, second.map { $0 + offset }, step: strip.columns, polynomial, target,
                        tiles.base + 512 * thread)
                }
            }
        }
    }

    /// Sixteen rows up to their diagonal, and the columns that mirror them.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func fillRows<E: ActivationElement>(
        _ row: Int, _ M: Int, _ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>?, step: Int,
        _ polynomial: Polynomial, _ target: UnsafeMutablePointer<E>, _ tile: UnsafeMutablePointer<Float>
    ) {
        let turned = tile + 256
        let rows = min(16, M - row)
        for column in stride(from: 0, through: row, by: 16) {
            for i in 0..<16 {
                var values = SIMD16<Float>()
                if i < rows {
                    let (place, left) = (i * step + column, M - column)
                    values = Float.load(first + place, count: left)
                    if let second {
                        let squares = Float.load(second + place, count: left)
                        values = (values * splat(polynomial.b)).addingProduct(squares, splat(polynomial.c))
                    }
                }
                Float.store16(values, to: tile + 16 * i)
            }
            if column == row {
                fillDiagonal(row, M, rows, polynomial.a, target, tile)
            } else {
                instructions_transpose(tile, 64, turned, 64)
                for i in 0..<rows { E.store16(Float.load16(tile + 16 * i), to: target + (row + i) * M + column) }
                for i in 0..<16 {
                    E.store(Float.load16(turned + 16 * i), to: target + (column + i) * M + row, count: rows)
                }
            }
        }
    }

    /// A tile of the diagonal: its lower half, and the same turned over.
    @_transparent
    private static func fillDiagonal<E: ActivationElement>(
        _ row: Int, _ M: Int, _ rows: Int, _ a: Float, _ target: UnsafeMutablePointer<E>,
        _ tile: UnsafeMutablePointer<Float>
    ) {
        for i in 0..<rows {
            for j in 0..<rows {
                let value = j <= i ? tile[16 * i + j] : tile[16 * j + i]
                target[(row + i) * M + row + j] = E(rounding: i == j ? value + a : value)
            }
        }
    }
}
