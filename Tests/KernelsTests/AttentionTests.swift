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
        var sequences: Int
        var testDescription: String { "T \(context) D \(headSize) H \(heads) B \(sequences)" }
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

    @Test(arguments: shapes, Precision.allCases)
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
        var random = TestRandom(UInt64(T * 1000 + D))
        var values = random.normal(N * 3 * C)
        if growth > 0 {
            for t in 0..<T {
                values[t * 3 * C] = 4
                values[t * 3 * C + C] = growth * Double(t) / Double(T)
            }
        }
        let qkv = try Operand(values, E.self)
        let outputGradient = try Operand(random.normal(N * C), E.self)
        let reference = ReferenceAttention(sequences: B, context: T, heads: H, headSize: D, scale: scale)
        let factor = scale.map { Float($0) } ?? 1 / Float(D).squareRoot()
        let expected = reference.forward(qkv.values)
        let results = try onEachThreadCount("\(shape) \(E.precision)") { compute in
            let attention = try Attention<E>(compute, sequences: B, context: T, heads: H, headSize: D)
            let output = try Buffer<E>(count: N * C)
            let logSumExp = try Buffer<Float>(count: N * H)
            let qkvGradient = try Buffer<E>(count: N * 3 * C)
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
            func third<Value>(_ values: [Value]) -> [Value] {
                values.indices.filter { $0 / C % 3 == part }.map { values[$0] }
            }
            expectRounded(
                third(try #require(results["gradient"])),
                .init(
                    values: third(gradient.values), squares: third(gradient.squares),
                    magnitudes: third(gradient.magnitudes)),
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
                compute, sequences: 2, context: 70, heads: 3, headSize: 8, training: training)
            let output = try Buffer<BFloat16>(count: 2 * 70 * 24)
            attention.forward(
                qkv: qkv.all, output: output.all, logSumExp: try Buffer(count: 2 * 70 * 3).all, scale: 0.3)
            return output.array()
        }
        expectSame(outputs[0], outputs[1], "output")
    }

    @Test(arguments: [(1, 8, nil), (3, 24, nil), (2, 80, nil), (1, 10, 0.7)] as [(Int, Int, Double?)])
    func cachedAttentionAgrees(heads: Int, headSize: Int, scale: Double?) throws {
        let T = 70
        let C = heads * headSize
        var random = TestRandom(UInt64(headSize))
        let qkv = try Operand(random.normal(T * 3 * C), Float.self)
        let expected = ReferenceAttention(sequences: 1, context: T, heads: heads, headSize: headSize, scale: scale)
            .forward(qkv.values)
        let keys = try Buffer<Float>(count: T * C)
        let values = try Buffer<Float>(count: T * C)
        let scores = try Buffer<Float>(count: 80)
        let output = try Buffer<Float>(count: T * C)
        for t in 0..<T {
            CachedAttention.forward(
                qkv: qkv.buffer[t * 3 * C..<(t + 1) * 3 * C], keys: keys.all, values: values.all, position: t,
                heads: heads, headSize: headSize, scale: scale.map { Float($0) } ?? 1 / Float(headSize).squareRoot(),
                scores: scores.all, output: output[t * C..<(t + 1) * C])
        }
        #expect(relativeError(output.array(), expected.output) < 2e-6)
    }
}
