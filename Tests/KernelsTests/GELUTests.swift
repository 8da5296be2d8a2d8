// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct GELUTests {
    @Test(arguments: [(1, 4), (7, 20), (64, 64), (65, 97), (300, 33)], Precision.allCases)
    func agrees(shape: (rows: Int, columns: Int), precision: Precision) throws {
        switch precision {
        case .fp32: try check(shape.rows, shape.columns, Float.self)
        case .bf16: try check(shape.rows, shape.columns, BFloat16.self)
        }
    }

    private func check<E: ActivationElement>(_ N: Int, _ H: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N * 1000 + H))
        let x = try Operand(random.normal(N * H, scale: 2), E.self)
        let gradient = try Operand(random.normal(N * H), E.self)
        let output = x.values.map(ReferenceKernels.gelu)
        let inputGradient = zip(x.values, gradient.values).map { ReferenceKernels.geluDerivative($0) * $1 }
        let results = try onEachThreadCount("[\(N), \(H)] \(E.precision)") { compute in
            let y = try Buffer<E>(count: N * H)
            GELU.forward(compute.pool, x.all, into: y.all)
            let again = try Buffer<E>(count: N * H)
            let dx = try Buffer<E>(count: N * H)
            dx.set(gradient.buffer.array())
            let bias = try Buffer<Float>(count: H)
            GELU.backward(
                compute.pool, x: x.all, gradient: dx.all, output: again.all, biasGradient: bias.all,
                partials: try Partials(rows: N, columns: H), columns: H)
            return ["output": y.floats, "again": again.floats, "gradient": dx.floats, "bias": bias.array()]
        }
        let relative = storageError(E.precision)
        expectClose(results["output"], output, relative: relative, scaled: 1e-6, "output")
        expectSame(results["again"], results["output"], "output again")
        expectClose(results["gradient"], inputGradient, relative: relative, scaled: 2e-6, "input gradient")
        expectClose(results["bias"], ReferenceKernels.columnSums(inputGradient, columns: H), "bias gradient")
    }

    /// From far left, where the result is almost zero, to far right, where it is x itself.
    @Test func accuracyOverTheLine() throws {
        let points = stride(from: -12.0, through: 12, by: 1.0 / 512).map { $0 }
        let x = try Operand(points, Float.self)
        let y = try Buffer<Float>(count: points.count)
        let pool = try Compute(threadCount: 1).pool
        GELU.forward(pool, x.all, into: y.all)
        let slope = try Buffer<Float>(count: points.count)
        slope.set([Float](repeating: 1, count: points.count))
        GELU.backward(
            pool, x: x.all, gradient: slope.all, output: try Buffer(count: points.count).all,
            biasGradient: try Buffer(count: points.count).all, partials: try Partials(rows: 1, columns: points.count),
            columns: points.count)
        let outputs = y.array()
        let slopes = slope.array()
        for (i, x) in x.values.enumerated() {
            let wanted = ReferenceKernels.gelu(x)
            // The reference's own 1 + tanh cancels on the far left; there an absolute bound must do.
            #expect((Double(outputs[i]) - wanted).magnitude <= 1e-5 * wanted.magnitude + 1e-12, "GELU(\(x))")
            let derivative = ReferenceKernels.geluDerivative(x)
            // 1 − σ loses digits where σ is almost 1, and is multiplied by up to 20.
            #expect((Double(slopes[i]) - derivative).magnitude < 2e-6, "GELU'(\(x))")
        }
    }

    @Test(arguments: [-1e30, -1e4, -100, 100, 1e4, 1e30])
    func extremes(x: Double) throws {
        let y = try Buffer<Float>(count: 1)
        GELU.forward(try Compute(threadCount: 1).pool, try Operand([x], Float.self).all, into: y.all)
        if x > 0 {
            #expect(y.array()[0] == Float(x))
        } else {
            #expect(y.array()[0].magnitude <= 1e-8 * Float(x.magnitude))
        }
    }
}
