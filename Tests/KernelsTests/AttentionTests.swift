// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct AttentionTests {
    struct Shape: CustomTestStringConvertible {
        var context: Int
        var headSize: Int
        var heads: Int
        /// As many as `heads` where nothing is said.
        var keyValueHeads: Int?
        var isInterleaved = false
        var sequences: Int

        var columns: HeadColumns {
            isInterleaved
                ? .interleaved(heads: heads, headSize: headSize)
                : .sideBySide(heads: heads, keyValueHeads: keyValueHeads ?? heads, headSize: headSize)
        }

        var testDescription: String {
            let groups = keyValueHeads.map { " G \($0)" } ?? (isInterleaved ? " interleaved" : "")
            return "T \(context) D \(headSize) H \(heads)\(groups) B \(sequences)"
        }
    }

    /// Every context at an odd head size, every head size at an odd context; 600 has three tiles of keys.
    static let shapes =
        [1, 7, 63, 64, 65, 257, 300].map { Shape(context: $0, headSize: 24, heads: 2, sequences: 2) }
        + [8, 9, 10, 16, 64, 80, 128].map { Shape(context: 65, headSize: $0, heads: 3, sequences: 1) }
        + [
            Shape(context: 257, headSize: 80, heads: 1, sequences: 1),
            Shape(context: 600, headSize: 16, heads: 1, sequences: 1),
            Shape(context: 256, headSize: 64, heads: 2, sequences: 1),
        ]

    /// One key head has fewer groups than there are threads.
    static let sharedKeys = [
        Shape(context: 1, headSize: 24, heads: 6, keyValueHeads: 2, sequences: 2),
        Shape(context: 7, headSize: 9, heads: 4, keyValueHeads: 1, sequences: 1),
        Shape(context: 65, headSize: 80, heads: 4, keyValueHeads: 1, sequences: 2),
        Shape(context: 65, headSize: 7, heads: 6, keyValueHeads: 2, sequences: 2),
        Shape(context: 257, headSize: 17, heads: 9, keyValueHeads: 3, sequences: 1),
        Shape(context: 600, headSize: 8, heads: 6, keyValueHeads: 2, sequences: 1),
    ]

    static let interleaved = [(1, 24), (7, 80), (65, 9), (257, 16)].map {
        Shape(context: $0, headSize: $1, heads: 3, isInterleaved: true, sequences: 2)
    }

    @Test(arguments: shapes + sharedKeys + interleaved, Precision.allCases)
    func agreesWithWholeMatrices(shape: Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try check(shape, Float.self)
        case .bf16: try check(shape, BFloat16.self)
        }
    }

    /// Scores that grow along the keys, up to some 80 apart: every tile of keys has a new maximum.
    @Test(arguments: Precision.allCases)
    func largeScores(precision: Precision) throws {
        let shape = Shape(context: 600, headSize: 16, heads: 1, sequences: 1)
        switch precision {
        case .fp32: try check(shape, Float.self, growth: 80)
        case .bf16: try check(shape, BFloat16.self, growth: 80)
        }
    }

    /// Scores that are not divided by the root of the head size, or by more.
    @Test(arguments: [0.03, 0.5, 1], Precision.allCases)
    func otherScales(scale: Double, precision: Precision) throws {
        let shape = Shape(context: 70, headSize: 8, heads: 2, sequences: 1)
        switch precision {
        case .fp32: try check(shape, Float.self, scale: scale)
        case .bf16: try check(shape, BFloat16.self, scale: scale)
        }
    }

    private func check<E: ActivationElement>(
        _ shape: Shape, _: E.Type, growth: Double = 0, scale: Double? = nil
    ) throws {
        let (T, H, D, B) = (shape.context, shape.heads, shape.headSize, shape.sequences)
        let (N, C) = (B * T, H * D)
        let columns = shape.columns
        let W = columns.width
        var random = TestRandom(UInt64(T * 1000 + D))
        var values = random.normal(N * W)
        if growth > 0 {
            for t in 0..<T {
                values[t * W + columns.query(0)] = 4
                values[t * W + columns.key(0)] = growth * Double(t) / Double(T)
            }
        }
        let qkv = try Operand(values, E.self)
        let outputGradient = try Operand(random.normal(N * C), E.self)
        let reference = ReferenceAttention(sequences: B, context: T, columns: columns, scale: scale)
        let factor = scale.map { Float($0) } ?? 1 / Float(D).squareRoot()
        let expected = reference.forward(qkv.values)
        let results = try onEachThreadCount("\(shape) \(E.precision)") { compute in
            let attention = try Attention<E>(compute, sequences: B, context: T, columns: columns)
            let output = try Buffer<E>(count: N * C)
            let logSumExp = try Buffer<Float>(count: N * H)
            let qkvGradient = try Buffer<E>(count: N * W)
            // Twice: the second run must not see what the first left in the working memory.
            for _ in 0..<2 {
                attention.forward(qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, scale: factor)
                attention.backward(
                    qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, outputGradient: outputGradient.all,
                    qkvGradient: qkvGradient.all, scale: factor)
            }
            return ["output": output.floats, "logSumExp": logSumExp.array(), "gradient": qkvGradient.floats]
        }
        expectClose(results["logSumExp"], expected.logSumExp, scaled: 2e-6, "log-sum-exp of \(shape)")
        // fp32: a power's own error of 2e-7, and that of its argument: scores and log-sum-exp of up to 10 (or 80), each
        // off by 2⁻²⁴ of itself; sums of up to 600 products lose less.
        let exact = growth > 0 ? 2e-5 : 2e-6
        let output = try #require(results["output"])
        let all = reference.roundedOutput(qkv.values, expected)
        expectRounded(output, all, scale: all.scales[0], E.precision, exact: exact, "output of \(shape)")
        // The kernel's own output is what its backward pass is given.
        let gradient = reference.backward(
            qkv.values, expected, output: output.map(Double.init), outputGradient: outputGradient.values)
        for part in 0..<3 {
            let places = reference.places(part)
            func chosen<Value>(_ values: [Value]) -> [Value] { places.map { values[$0] } }
            expectRounded(
                chosen(try #require(results["gradient"])),
                .init(
                    values: chosen(gradient.values), squares: chosen(gradient.squares),
                    magnitudes: chosen(gradient.magnitudes)),
                scale: gradient.scales[part], E.precision, exact: exact,
                "gradient of \(["q", "k", "v"][part]), \(shape)")
        }
    }

    /// Expects of numbers whose terms were rounded to bf16 no more error than that explains.
    ///
    /// A rounding to 8 bits is off by at most half a unit in the last place, 2⁻⁸ of the number, as often up as down: its
    /// standard deviation is a unit's /√12, at most 2⁻⁷/√12 of the number. Roundings are independent of each other, so
    /// the squares of their errors add up; six standard deviations are never met. In fp32 what is left is `exact` of the
    /// terms' magnitudes.
    private func expectRounded(
        _ actual: [Float], _ expected: ReferenceAttention.Rounded, scale: Double, _ precision: Precision, exact: Double,
        _ comment: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let deviation = precision == .bf16 ? 0x1p-7 / 12.0.squareRoot() : 0
        let (values, squares) = (expected.values, expected.squares)
        let errors = zip(actual, values).map { Double($0) - $1 }
        let worst =
            errors.indices.map { i in
                errors[i].magnitude - 6 * deviation * squares[i].squareRoot() - exact * expected.magnitudes[i]
            }.max() ?? 0
        #expect(worst <= 0, "an element of the \(comment)", sourceLocation: sourceLocation)
        // All together: the mean of many squares is near its expectation, within 6/√n of few.
        func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let few = 1 + 6 / Double(errors.count).squareRoot()
        let limit = deviation * squares.reduce(0, +).squareRoot() * few + exact * norm(expected.magnitudes)
        #expect(norm(errors) <= limit, "all of the \(comment)", sourceLocation: sourceLocation)
        // A common factor of all elements, which no single one shows.
        let along = zip(errors, values).reduce(0) { $0 + $1.0 * $1.1 }
        let chance = 6 * deviation * scale.squareRoot() + exact * norm(expected.magnitudes) * norm(values)
        #expect(along.magnitude <= chance, "the scale of the \(comment)", sourceLocation: sourceLocation)
    }

    /// The forward pass alone, planned without a backward pass, has the same bits.
    @Test func plannedForEvaluation() throws {
        let compute = try Compute(threadCount: 1)
        var random = TestRandom(3)
        let qkv = try Operand(random.normal(2 * 70 * 3 * 24), BFloat16.self)
        let outputs = try [true, false].map { training in
            let attention = try Attention<BFloat16>(
                compute, sequences: 2, context: 70,
                columns: .sideBySide(heads: 3, keyValueHeads: 3, headSize: 8), training: training)
            let output = try Buffer<BFloat16>(count: 2 * 70 * 24)
            attention.forward(
                qkv: qkv.all, output: output.all, logSumExp: try Buffer(count: 2 * 70 * 3).all, scale: 0.3)
            return output.array()
        }
        expectSame(outputs[0], outputs[1], "output")
    }

    /// Heads compute the same with shared keys and values as with copies of their own; only the copies' gradients are
    /// not summed.
    @Test(arguments: Precision.allCases)
    func sharedKeysAreAsGoodAsCopies(precision: Precision) throws {
        let shared = HeadColumns.sideBySide(heads: 6, keyValueHeads: 2, headSize: 9)
        let own = HeadColumns.sideBySide(heads: 6, keyValueHeads: 6, headSize: 9)
        let (one, other) = try bothOrders(shared, own, precision)
        expectSame(one["output"], other["output"], "output")
        expectSame(one["logSumExp"], other["logSumExp"], "log-sum-exp")
        func queries(_ gradient: [Float]?, _ columns: HeadColumns) -> [Float]? {
            gradient?.indices.filter { $0 % columns.width < columns.outputWidth }.compactMap { gradient?[$0] }
        }
        expectSame(queries(one["gradient"], shared), queries(other["gradient"], own), "gradient of queries")
    }

    /// Where heads lie does not change what they compute.
    @Test(arguments: Precision.allCases)
    func bothOrdersHaveTheSameBits(precision: Precision) throws {
        let interleaved = HeadColumns.interleaved(heads: 3, headSize: 10)
        let sideBySide = HeadColumns.sideBySide(heads: 3, keyValueHeads: 3, headSize: 10)
        let (one, other) = try bothOrders(interleaved, sideBySide, precision)
        expectSame(one["output"], other["output"], "output")
        expectSame(one["logSumExp"], other["logSumExp"], "log-sum-exp")
        let gradient = one["gradient"].map { rearranged($0, from: interleaved, to: sideBySide) }
        expectSame(gradient, other["gradient"], "gradient")
    }

    /// The results from the same queries, keys and values in two orders.
    private func bothOrders(
        _ first: HeadColumns, _ second: HeadColumns, _ precision: Precision
    ) throws -> (Results, Results) {
        var random = TestRandom(17)
        let qkv = random.normal(2 * 70 * first.width)
        let outputGradient = random.normal(2 * 70 * first.outputWidth)
        func run(_ columns: HeadColumns) throws -> Results {
            let rows = rearranged(qkv, from: first, to: columns)
            return switch precision {
            case .fp32: try results(columns, rows, outputGradient, Float.self)
            case .bf16: try results(columns, rows, outputGradient, BFloat16.self)
            }
        }
        return (try run(first), try run(second))
    }

    /// Of two sequences of 70 tokens.
    private func results<E: ActivationElement>(
        _ columns: HeadColumns, _ qkv: [Double], _ outputGradient: [Double], _: E.Type
    ) throws -> Results {
        let qkv = try Operand(qkv, E.self)
        let outputGradient = try Operand(outputGradient, E.self)
        return try onEachThreadCount("\(columns)") { compute in
            let attention = try Attention<E>(compute, sequences: 2, context: 70, columns: columns)
            let output = try Buffer<E>(count: outputGradient.values.count)
            let logSumExp = try Buffer<Float>(count: 2 * 70 * columns.heads)
            let gradient = try Buffer<E>(count: qkv.values.count)
            attention.forward(qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, scale: 0.3)
            attention.backward(
                qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, outputGradient: outputGradient.all,
                qkvGradient: gradient.all, scale: 0.3)
            return ["output": output.floats, "logSumExp": logSumExp.array(), "gradient": gradient.floats]
        }
    }

    /// Rows in another order, with copies of keys and values for heads that share them.
    private func rearranged<Value>(_ rows: [Value], from: HeadColumns, to: HeadColumns) -> [Value] {
        (0..<rows.count / from.width).flatMap { row in
            var target = [Value](repeating: rows[0], count: to.width)
            for head in 0..<from.heads {
                let (group, targetGroup) = (head / from.groupSize, head / to.groupSize)
                let moves = [
                    (from.query(head), to.query(head)), (from.key(group), to.key(targetGroup)),
                    (from.value(group), to.value(targetGroup)),
                ]
                for (column, targetColumn) in moves {
                    for d in 0..<from.headSize { target[targetColumn + d] = rows[row * from.width + column + d] }
                }
            }
            return target
        }
    }
}
