// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct GatedActivationTests {
    @Test(arguments: [(1, 5), (7, 16), (64, 64), (65, 130), (257, 48), (300, 33)], Precision.allCases)
    func agrees(shape: (rows: Int, columns: Int), precision: Precision) throws {
        for kind in ActivationTests.kinds {
            switch precision {
            case .fp32: try check(kind, shape.rows, shape.columns, Float.self)
            case .bf16: try check(kind, shape.rows, shape.columns, BFloat16.self)
            }
        }
    }

    private func check<E: ActivationElement>(_ kind: Activation, _ N: Int, _ H: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N * 1000 + H))
        let x = try Operand(random.normal(N * 2 * H, scale: 2), E.self)
        let gradient = try Operand(random.normal(N * H), E.self)
        var output = [Double](repeating: 0, count: N * H)
        var inputGradient = [Double](repeating: 0, count: N * 2 * H)
        for n in 0..<N {
            for h in 0..<H {
                let (gate, up) = (x.values[n * 2 * H + h], x.values[n * 2 * H + H + h])
                let dy = gradient.values[n * H + h]
                output[n * H + h] = ReferenceKernels.activation(kind, gate) * up
                inputGradient[n * 2 * H + h] = dy * up * ReferenceKernels.activationSlope(kind, gate)
                inputGradient[n * 2 * H + H + h] = dy * ReferenceKernels.activation(kind, gate)
            }
        }
        let what = "\(kind) [\(N), \(H)] \(E.precision)"
        let results = try onEachThreadCount(what) { compute in
            let y = try Buffer<E>(count: N * H)
            kind.forwardGated(compute.pool, x.all, into: y.all, columns: H)
            var results = ["output": y.floats]
            for (name, sums, inPlace) in [("", true, false), (" unsummed", false, false), (" in place", true, true)] {
                let a = try Buffer<E>(count: N * H)
                a.set(gradient.buffer.array())
                let input = try Buffer<E>(count: N * 2 * H)
                input.set(x.buffer.array())
                let dx = inPlace ? input : try Buffer<E>(count: N * 2 * H)
                let bias = try Buffer<Float>(count: 2 * H)
                kind.backwardGated(
                    compute.pool, x: input.all, outputAndGradient: a.all, gradient: dx.all,
                    biasGradient: sums ? bias.all : nil, partials: try Partials(rows: sums ? N : 0, columns: 2 * H),
                    columns: H)
                results["again" + name] = a.floats
                results["gradient" + name] = dx.floats
                results["bias" + name] = bias.array()
            }
            return results
        }
        let relative = storageError(E.precision)
        expectClose(results["output"], output, relative: relative, scaled: 1e-6, "output of \(what)")
        expectClose(results["gradient"], inputGradient, relative: relative, scaled: 2e-6, "gradient of \(what)")
        let sums = ReferenceKernels.columnSums(inputGradient, columns: 2 * H)
        expectClose(results["bias"], sums, "bias gradient of \(what)")
        for name in ["again", "again unsummed", "again in place"] {
            expectSame(results[name], results["output"], "\(name), \(what)")
        }
        for name in [" unsummed", " in place"] {
            expectSame(results["gradient" + name], results["gradient"], "gradient\(name), \(what)")
        }
        expectSame(results["bias in place"], results["bias"], "bias in place, \(what)")
        expectSame(results["bias unsummed"], [Float](repeating: 0, count: 2 * H), "bias unsummed, \(what)")
    }

    /// Names that mean the same function mean the same gated one.
    @Test func names() throws {
        let pool = try Compute(threadCount: 1).pool
        let x = try Operand([-2, -0.3, 0.7, 3, 1, 2, 3, 4], Float.self)
        func values(_ kind: Activation) throws -> [Float] {
            let y = try Buffer<Float>(count: 4)
            kind.forwardGated(pool, x.all, into: y.all, columns: 4)
            return y.array()
        }
        #expect(try values(.geluTanh) == values(.geluNew) && values(.geluFast) == values(.geluNew))
        #expect(try values(.relu) == [0, 0, 2.1, 12])
        #expect(try values(.reluSquared) == [0, 0, 3 * (0.7 * 0.7 as Float), 36])
    }
}
