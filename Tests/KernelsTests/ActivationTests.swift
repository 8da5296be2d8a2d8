// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct ActivationTests {
    /// Those that compute something else than another one.
    static let kinds = [Activation.gelu, .geluNew, .relu, .silu, .reluSquared]

    @Test(arguments: [(1, 4), (7, 20), (64, 64), (65, 97), (300, 33)], Precision.allCases)
    func agrees(shape: (rows: Int, columns: Int), precision: Precision) throws {
        for kind in Self.kinds {
            switch precision {
            case .fp32: try check(kind, shape.rows, shape.columns, Float.self)
            case .bf16: try check(kind, shape.rows, shape.columns, BFloat16.self)
            }
        }
    }

    private func check<E: ActivationElement>(_ kind: Activation, _ N: Int, _ H: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N * 1000 + H))
        let x = try Operand(random.normal(N * H, scale: 2), E.self)
        let gradient = try Operand(random.normal(N * H), E.self)
        let output = x.values.map { ReferenceKernels.activation(kind, $0) }
        let inputGradient = zip(x.values, gradient.values).map { ReferenceKernels.activationSlope(kind, $0) * $1 }
        let results = try onEachThreadCount("\(kind) [\(N), \(H)] \(E.precision)") { compute in
            let y = try Buffer<E>(count: N * H)
            kind.forward(compute.pool, x.all, into: y.all)
            let again = try Buffer<E>(count: N * H)
            let dx = try Buffer<E>(count: N * H)
            dx.set(gradient.buffer.array())
            let bias = try Buffer<Float>(count: H)
            kind.backward(
                compute.pool, x: x.all, gradient: dx.all, output: again.all, biasGradient: bias.all,
                partials: try Partials(rows: N, columns: H), columns: H)
            let unsummed = try Buffer<E>(count: N * H)
            unsummed.set(gradient.buffer.array())
            let third = try Buffer<E>(count: N * H)
            kind.backward(
                compute.pool, x: x.all, gradient: unsummed.all, output: third.all, biasGradient: nil,
                partials: try Partials(rows: 0, columns: H), columns: H)
            return [
                "output": y.floats, "again": again.floats, "gradient": dx.floats, "bias": bias.array(),
                "unsummed": unsummed.floats, "third": third.floats,
            ]
        }
        let relative = storageError(E.precision)
        expectClose(results["output"], output, relative: relative, scaled: 1e-6, "output")
        expectSame(results["again"], results["output"], "output again")
        expectSame(results["third"], results["output"], "output again, without a bias")
        expectSame(results["unsummed"], results["gradient"], "input gradient without a bias")
        expectClose(results["gradient"], inputGradient, relative: relative, scaled: 2e-6, "input gradient")
        expectClose(results["bias"], ReferenceKernels.columnSums(inputGradient, columns: H), "bias gradient")
    }

    /// From far left, where the result is almost zero, to far right, where it is x itself.
    @Test(arguments: kinds) func accuracyOverTheLine(kind: Activation) throws {
        let points = stride(from: -12.0, through: 12, by: 1.0 / 512).map { $0 }
        let x = try Operand(points, Float.self)
        let y = try Buffer<Float>(count: points.count)
        let pool = try Compute(threadCount: 1).pool
        kind.forward(pool, x.all, into: y.all)
        let slope = try Buffer<Float>(count: points.count)
        slope.set([Float](repeating: 1, count: points.count))
        kind.backward(
            pool, x: x.all, gradient: slope.all, output: try Buffer(count: points.count).all,
            biasGradient: try Buffer(count: points.count).all, partials: try Partials(rows: 1, columns: points.count),
            columns: points.count)
        let outputs = y.array()
        let slopes = slope.array()
        for (i, x) in x.values.enumerated() {
            let wanted = ReferenceKernels.activation(kind, x)
            // The reference's own 1 + tanh cancels on the far left; there an absolute bound must do.
            #expect((Double(outputs[i]) - wanted).magnitude <= 1e-5 * wanted.magnitude + 1e-12, "\(kind)(\(x))")
            let derivative = ReferenceKernels.activationSlope(kind, x)
            // 1 − σ loses digits where σ is almost 1, and is multiplied by up to 20.
            #expect((Double(slopes[i]) - derivative).magnitude < 2e-6, "\(kind)'(\(x))")
        }
    }

    @Test(arguments: [-1e30, -1e4, -100, 100, 1e4, 1e30], kinds)
    func extremes(x: Double, kind: Activation) throws {
        let y = try Buffer<Float>(count: 1)
        kind.forward(try Compute(threadCount: 1).pool, try Operand([x], Float.self).all, into: y.all)
        if x > 0 {
            #expect(y.array()[0] == Float(kind == .reluSquared ? x * x : x))
        } else {
            #expect(y.array()[0].magnitude <= 1e-8 * Float(x.magnitude))
        }
    }

    /// The names that mean the same function, and a number that is none.
    @Test func names() throws {
        let pool = try Compute(threadCount: 1).pool
        let x = try Operand([-2, -0.3, 0, 0.7, 3], Float.self)
        func values(_ kind: Activation) throws -> [Float] {
            let y = try Buffer<Float>(count: 5)
            kind.forward(pool, x.all, into: y.all)
            return y.array()
        }
        #expect(try values(.geluTanh) == values(.geluNew) && values(.geluFast) == values(.geluNew))
        #expect(try values(.relu) == [0, 0, 0, 0.7, 3])
        #expect(try values(.reluSquared) == [0, 0, 0, 0.7 * 0.7, 9])
        #expect(try (values(.silu)[4] - 2.857_722_38).magnitude < 5e-7)
        #expect(Activation(rawValue: "silu") == .silu && Activation(rawValue: "relu2") == .reluSquared)
        #expect(try (values(.gelu)[0] + 2 * 0.022_750_132).magnitude < 1e-8)
        for kind in Activation.allCases {
            let y = try Buffer<Float>(count: 1)
            kind.forward(pool, try Operand([.nan], Float.self).all, into: y.all)
            #expect(y.array()[0].isNaN, "\(kind)")
        }
    }
}
