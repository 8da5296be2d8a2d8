// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct RotaryTests {
    struct Shape: CustomTestStringConvertible {
        var rows, context: Int
        var columns: HeadColumns
        var pairs: Int
        var firstPosition = 0
        var testDescription: String { "[\(rows) / \(context), \(columns.width)], \(pairs) pairs from \(firstPosition)" }
    }

    static let shapes = [
        Shape(rows: 1, context: 1, columns: .sideBySide(heads: 3, keyValueHeads: 1, headSize: 5), pairs: 2),
        Shape(rows: 21, context: 7, columns: .sideBySide(heads: 4, keyValueHeads: 2, headSize: 32), pairs: 16),
        Shape(rows: 65, context: 65, columns: .interleaved(heads: 3, headSize: 24), pairs: 3, firstPosition: 5),
        Shape(rows: 66, context: 33, columns: .sideBySide(heads: 2, keyValueHeads: 2, headSize: 130), pairs: 65),
        // So far out that rounding the angle to fp32 shows.
        Shape(
            rows: 3, context: 3, columns: .sideBySide(heads: 2, keyValueHeads: 1, headSize: 48), pairs: 20,
            firstPosition: 100_000),
        // A token of generation: fewer rows than the context.
        Shape(
            rows: 1, context: 64, columns: .sideBySide(heads: 2, keyValueHeads: 1, headSize: 8), pairs: 4,
            firstPosition: 63),
    ]

    @Test(arguments: shapes) func agrees(shape: Shape) throws {
        try check(shape, Float.self)
        try check(shape, BFloat16.self)
    }

    private func check<E: ActivationElement>(_ shape: Shape, _: E.Type) throws {
        let (N, W, half) = (shape.rows, shape.columns.width, shape.pairs)
        var random = TestRandom(UInt64(N * 1000 + W))
        let rows = try Operand(random.normal(N * W), E.self)
        let frequencies = (0..<half).map { Float(pow(10_000, -Double($0) / Double(half))) }
        // No position to spare.
        let positions = shape.firstPosition + min(shape.context, N)
        let table = try RotaryTable(positions: positions, frequencies: frequencies)
        let heads = shape.columns
        let starts = (0..<heads.heads).map(heads.query) + (0..<heads.keyValueHeads).map(heads.key)
        let turning = starts.flatMap { $0..<$0 + 2 * half }
        for inverse in [false, true] {
            var expected = rows.values
            for n in 0..<N {
                for (start, j) in starts.flatMap({ start in (0..<half).map { (start, $0) } }) {
                    let angle = Double(Float(shape.firstPosition + n % shape.context) * frequencies[j])
                    let (cosine, sine) = (cos(angle), inverse ? -sin(angle) : sin(angle))
                    let (first, second) = (n * W + start + j, n * W + start + j + half)
                    expected[first] = rows.values[first] * cosine - rows.values[second] * sine
                    expected[second] = rows.values[second] * cosine + rows.values[first] * sine
                }
            }
            let what = "\(shape.testDescription) \(E.precision) inverse \(inverse)"
            let results = try onEachThreadCount(what) { compute in
                let turned = try Buffer<E>(count: N * W)
                turned.set(rows.buffer.array())
                let back = try Buffer<E>(count: N * W)
                func apply(_ rows: Buffer<E>, _ inverse: Bool) {
                    Rotary.apply(
                        compute.pool, rows: rows.all, columns: heads, table: table,
                        firstPosition: shape.firstPosition, context: shape.context, inverse: inverse)
                }
                apply(turned, inverse)
                back.set(turned.array())
                apply(back, !inverse)
                return ["turned": turned.floats, "back": back.floats]
            }
            let relative = storageError(E.precision)
            expectClose(results["turned"], expected, relative: relative, scaled: 3e-7, what)
            expectClose(results["back"], rows.values, scaled: 5e-7 + 2 * relative, "back, \(what)")
            // What does not turn stays bit for bit, whatever the direction.
            let staying = Set(0..<W).subtracting(turning).sorted()
            #expect(staying.count == W - turning.count)
            for n in 0..<N {
                expectSame(
                    results["turned"].map { values in staying.map { values[n * W + $0] } },
                    staying.map { rows.buffer.floats[n * W + $0] }, "columns that stay, row \(n), \(what)")
            }
        }
    }

    /// A plan counts the table, and has no memory for it.
    @Test func planCounts() throws {
        let memory = Memory(planningWithin: .max)
        let table = try RotaryTable(positions: 1 << 20, frequencies: [1, 0.5], memory: memory)
        #expect(memory.bytes == [.activations: 2 * (1 << 20) * 2 * 4])
        #expect(table.pairs == 2 && table.positions == 1 << 20)
    }
}
