import CInstructions
import Kernels
import TestSupport
import Testing

/// Gradients of weights, c[M, N] = a[T, M]ᵀ · b[T, N], by our own tiles and by oneDNN.
@Suite(.enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16"))
struct WeightGradientTests {
    struct Shape: CustomTestStringConvertible {
        var rows, tokens, columns: Int
        var testDescription: String { "[\(tokens), \(rows)]ᵀ · [\(tokens), \(columns)]" }
    }

    enum Way: CaseIterable { case own, oneDNN }

    /// Around tiles of 8 × 32, blocks of 128 and 256 tokens and of 384 rows, pieces of 16 words, and single rows, columns and
    /// tokens more; the last ones give threads nothing to do.
    static let shapes = [
        (8, 32, 32), (1, 33, 1), (9, 127, 33), (7, 128, 31), (16, 129, 64), (24, 255, 48), (17, 256, 97), (40, 257, 65),
        (384, 64, 32), (385, 161, 35), (392, 289, 40), (777, 35, 70), (30, 2100, 90), (8, 513, 200), (203, 300, 16),
    ].map { Shape(rows: $0.0, tokens: $0.1, columns: $0.2) }

    @Test(arguments: shapes, Way.allCases)
    func agreesOnAnyNumberOfThreads(shape: Shape, way: Way) throws {
        try check(shape, way, BFloat16.self)
        try check(shape, way, Float.self)
    }

    private func check<E: ActivationElement>(_ shape: Shape, _ way: Way, _: E.Type) throws {
        let (M, T, N) = (shape.rows, shape.tokens, shape.columns)
        var random = TestRandom(UInt64(M * 1000 + T + N))
        let a = try Operand(random.normal(T * M), E.self)
        let b = try Operand(random.normal(T * N), E.self)
        let before = try Operand(random.normal(M * N), Float.self)
        let product = ReferenceKernels.matmul(
            ReferenceKernels.transposed(a.values, rows: T, columns: M), b.values, rows: M, inner: T, columns: N)
        for accumulates in [false, true] {
            let what = "\(shape) \(way) \(E.precision)\(accumulates ? ", accumulating" : "")"
            var alone: [[UInt32]] = []
            for threads in [1, 2, 3, 5] {
                let workspace = try Workspace(Compute(threadCount: threads))
                let matmul = try plan(workspace, shape, way, E.precision, accumulates: accumulates)
                let c = try Surrounded(before.buffer.array(), by: -7)
                var runs: [[UInt32]] = []
                for run in 1...2 {
                    matmul.run(try Surrounded(a).slice, try Surrounded(b).slice, into: c.slice)
                    var expected = product
                    if accumulates {
                        for i in expected.indices { expected[i] = before.values[i] + Double(run) * product[i] }
                    }
                    let values = c.slice.array()
                    expectClose(values, expected, scaled: 2e-6, "\(what), \(threads) threads, run \(run)")
                    #expect(c.isIntact, "\(what), \(threads) threads")
                    runs.append(values.map(\.bitPattern))
                }
                if threads == 1 { alone = runs }
                #expect(runs == alone, "\(what), \(threads) threads")
                if !accumulates { #expect(runs[0] == runs[1], "\(what)") }
            }
        }
    }

    /// In fp32 the plain loop can do exactly what the tiles do.
    @Test(.enabled(if: isOwn(.fp32)), arguments: [32, 127, 128, 129, 500])
    func sumsBlocksOfTokensInTheirOrder(tokens: Int) throws {
        let (M, T, N) = (19, tokens, 45)
        var random = TestRandom(UInt64(tokens))
        let a = try Operand(random.normal(T * M), Float.self)
        let b = try Operand(random.normal(T * N), Float.self)
        let (x, y) = (a.buffer.array(), b.buffer.array())
        var expected = [Float](repeating: 0, count: M * N)
        for m in 0..<M {
            for n in 0..<N {
                for first in stride(from: 0, to: T, by: 128) {
                    var sum: Float = 0
                    for t in first..<min(first + 128, T) { sum.addProduct(x[t * M + m], y[t * N + n]) }
                    expected[m * N + n] += sum
                }
            }
        }
        let c = try Buffer<Float>(count: M * N)
        try plan(Workspace(Compute(threadCount: 1)), Shape(rows: M, tokens: T, columns: N), .own, .fp32)
            .run(a.all, b.all, into: c.all)
        expectSame(c.array().map(\.bitPattern), expected.map(\.bitPattern), "\(T) tokens")
    }

    /// In bf16 a block has 256 tokens: 1 is lost where it is added to 2²⁴, which the first block holds, and the second does
    /// not.
    @Test(.enabled(if: isOwn(.bf16))) func bf16SumsBlocksOfTokensInTheirOrder() throws {
        let (M, T, N) = (9, 512, 33)
        // The other token of each word is zero: how the instruction adds a word's two products is its own affair.
        let b = (0..<T).flatMap { t in
            [BFloat16](repeating: BFloat16(rounding: t == 0 ? 0x1p24 : t % 2 == 0 ? 1 : 0), count: N)
        }
        let a = [BFloat16](repeating: BFloat16(rounding: 1), count: T * M)
        let c = try product(a, b, Shape(rows: M, tokens: T, columns: N), threads: 1)
        expectSame(c, [Float](repeating: 0x1p24 + 128, count: M * N), "ones")
    }

    /// A number is the same wherever its row and column lie: in other tiles, blocks and threads.
    @Test(.enabled(if: isOwn(.bf16))) func partsHaveTheBitsOfTheWhole() throws {
        let (M, T, N) = (800, 300, 100)
        var random = TestRandom(3)
        let a = try Operand(random.normal(T * M), BFloat16.self)
        let b = try Operand(random.normal(T * N), BFloat16.self)
        let whole = try product(a.buffer.array(), b.buffer.array(), Shape(rows: M, tokens: T, columns: N), threads: 3)
        for (rows, columns) in [(3..<20, 0..<100), (380..<391, 31..<66), (795..<800, 99..<100)] {
            let left = (0..<T).flatMap { t in rows.map { a.buffer.array()[t * M + $0] } }
            let right = (0..<T).flatMap { t in columns.map { b.buffer.array()[t * N + $0] } }
            let part = try product(
                left, right, Shape(rows: rows.count, tokens: T, columns: columns.count), threads: 1)
            let expected = rows.flatMap { row in columns.map { whole[row * N + $0] } }
            expectSame(part.map(\.bitPattern), expected.map(\.bitPattern), "rows \(rows), columns \(columns)")
        }
    }

    /// What fills up words, panels and tiles is multiplied too, and must not spread what is no number.
    @Test func notANumberStaysInItsRowAndColumn() throws {
        let (M, T, N) = (21, 131, 37)
        let one = BFloat16(rounding: 1)
        var a = [BFloat16](repeating: one, count: T * M)
        var b = [BFloat16](repeating: one, count: T * N)
        a[(T - 1) * M + 20] = BFloat16(rounding: .nan)
        b[(T - 2) * N + 33] = BFloat16(rounding: .infinity)
        let c = try product(a, b, Shape(rows: M, tokens: T, columns: N), threads: 2)
        for m in 0..<M {
            for n in 0..<N {
                let value = c[m * N + n]
                if m == 20 {
                    #expect(value.isNaN)
                } else {
                    #expect(value == (n == 33 ? .infinity : Float(T)))
                }
            }
        }
    }

    /// The choice is one of the shape and the CPU.
    @Test(arguments: Precision.allCases) func choice(precision: Precision) throws {
        let workspace = try Workspace(Compute(threadCount: 2))
        func isOwn(
            _ layout: Matmul.Layout = .aTransposed, inner: Int = 32, output: Precision = .fp32, bias: Bool = false,
            operand: PackedOperand? = nil
        ) throws -> Bool {
            try Matmul(
                workspace, layout, rows: 64, inner: inner, columns: 64, input: precision, output: output, bias: bias,
                operand: operand
            ).isOwn
        }
        #expect(try isOwn() == Self.isOwn(precision))
        #expect(try isOwn(inner: 2048) == Self.isOwn(precision))
        #expect(try !isOwn(inner: 31))
        #expect(try !isOwn(.plain))
        #expect(try !isOwn(.bTransposed))
        #expect(try !isOwn(bias: true))
        #expect(try !isOwn(operand: PackedOperand(workspace)))
        if precision == .bf16 { #expect(try !isOwn(output: .bf16)) }
    }

    private static func isOwn(_ precision: Precision) -> Bool {
        let features = String(cString: compiledProcessorFeatures()).split(separator: " ")
        return precision == .fp32
            ? features.contains("avx512f") : features.contains("avx512_bf16") && !Compute.hasMatrixUnit
    }

    private func plan(
        _ workspace: Workspace, _ shape: Shape, _ way: Way, _ precision: Precision, accumulates: Bool = false
    ) throws -> Matmul {
        try Matmul(
            workspace, .aTransposed, rows: shape.rows, inner: shape.tokens, columns: shape.columns, input: precision,
            output: .fp32, accumulates: accumulates, operand: way == .oneDNN ? PackedOperand(workspace) : nil)
    }

    private func product(_ a: [BFloat16], _ b: [BFloat16], _ shape: Shape, threads: Int) throws -> [Float] {
        let (left, right) = (try Buffer<BFloat16>(count: a.count), try Buffer<BFloat16>(count: b.count))
        left.set(a)
        right.set(b)
        let c = try Buffer<Float>(count: shape.rows * shape.columns)
        try plan(Workspace(Compute(threadCount: threads)), shape, .own, .bf16).run(left.all, right.all, into: c.all)
        return c.array()
    }
}

/// Numbers in the middle of a buffer of others, which a kernel must neither use nor change.
private struct Surrounded<E: ActivationElement> {
    let slice: BufferSlice<E>
    private let other: Float

    init(_ values: [E], by other: Float) throws {
        let margin = 100
        let buffer = try Buffer<E>(count: values.count + 2 * margin)
        buffer.set([E](repeating: E(rounding: other), count: buffer.count))
        buffer.set(values, at: margin)
        slice = buffer[margin..<margin + values.count]
        self.other = other
    }

    /// An operand among numbers that would spoil every sum.
    init(_ operand: Operand<E>) throws { try self.init(operand.buffer.array(), by: .nan) }

    var isIntact: Bool {
        let all = slice.buffer.array()
        return (all[..<slice.offset] + all[slice.range.upperBound...]).allSatisfy { $0.float == other }
    }
}

/// The plain C that stands in for instructions which packing uses; that they do the same, the products show.
@Suite struct HalvesTests {
    private typealias Words = SIMD16<UInt32>

    /// Words whose halves count on from a number.
    private func counting(from first: UInt32) -> Words {
        Words((0..<16).map { (first + 2 * $0) | (first + 2 * $0 + 1) << 16 })
    }

    @Test func inTurns() {
        let (a, b) = (counting(from: 100), counting(from: 200))
        #expect(instructions_first_halves(a, b) == Words((0..<16).map { 100 + $0 | (200 + $0) << 16 }))
        #expect(instructions_last_halves(a, b) == Words((16..<32).map { 100 + $0 | (200 + $0) << 16 }))
    }

    @Test(arguments: [-3, 0, 1, 2, 15, 16, 31, 32, 40]) func loaded(count: Int) {
        let source = (0..<32).map { UInt16(100 + $0) }
        let words = source.withUnsafeBytes { instructions_load_halves($0.baseAddress, count) }
        for half in 0..<32 {
            let value = words[half / 2] >> UInt32(16 * (half % 2)) & 0xffff
            #expect(value == (half < count ? UInt32(source[half]) : 0))
        }
    }
}
