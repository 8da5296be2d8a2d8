// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct RMSNormTests {
    static let shapes = [(1, 5), (7, 16), (63, 24), (65, 130), (257, 48), (300, 33), (128, 1)]

    @Test(arguments: shapes, Precision.allCases)
    func forward(shape: (rows: Int, columns: Int), precision: Precision) throws {
        switch precision {
        case .fp32: try checkForward(shape.rows, shape.columns, Float.self)
        case .bf16: try checkForward(shape.rows, shape.columns, BFloat16.self)
        }
    }

    @Test(arguments: shapes, Precision.allCases)
    func backward(shape: (rows: Int, columns: Int), precision: Precision) throws {
        switch precision {
        case .fp32: try checkBackward(shape.rows, shape.columns, Float.self)
        case .bf16: try checkBackward(shape.rows, shape.columns, BFloat16.self)
        }
    }

    private func checkForward<E: ActivationElement>(_ N: Int, _ C: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N * 1000 + C))
        let residual = try Operand(random.normal(N * C, scale: 2, mean: 1), Float.self)
        let branch = try Operand(random.normal(N * C), E.self)
        let weight = try Operand(random.normal(C, scale: 0.3, mean: 1), Float.self)
        let untouched = [Float](repeating: -7, count: N * C)
        for (adds, weighted) in [(true, true), (false, true), (true, false), (false, false)] {
            let what = "[\(N), \(C)] \(E.precision) adds \(adds) weighted \(weighted)"
            let epsilon = adds ? 1e-6 : 0.01
            let x = adds ? zip(residual.values, branch.values).map { $0 + $1 } : residual.values
            let expected = ReferenceKernels.rmsNorm(
                x, weight: weighted ? weight.values : nil, columns: C, epsilon: epsilon)
            let results = try onEachThreadCount(what) { compute in
                let sum = try Buffer<Float>(count: N * C)
                sum.set(untouched)
                let output = try Buffer<E>(count: N * C)
                let rstd = try Buffer<Float>(count: N)
                RMSNorm.forward(
                    compute.pool, residual: residual.all, adding: adds ? branch.all : nil, sum: sum.all,
                    output: output.all, weight: weighted ? weight.all : nil, rstd: rstd.all, epsilon: Float(epsilon),
                    columns: C)
                return ["sum": sum.array(), "output": output.floats, "rstd": rstd.array()]
            }
            if adds {
                expectClose(results["sum"], x, "sum of \(what)")
            } else {
                expectSame(results["sum"], untouched, "untouched sum of \(what)")
            }
            expectClose(results["rstd"], expected.rstd, "rstd of \(what)")
            expectClose(results["output"], expected.output, relative: storageError(E.precision), "output of \(what)")
        }
    }

    private func checkBackward<E: ActivationElement>(_ N: Int, _ C: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N * 1000 + C + 1))
        let outputGradient = try Operand(random.normal(N * C), E.self)
        let x = try Operand(random.normal(N * C, scale: 2, mean: 1), Float.self)
        let weight = try Operand(random.normal(C, scale: 0.3, mean: 1), Float.self)
        let before = try Operand(random.normal(N * C), Float.self)
        for (overwrites, weighted, writes) in [
            (false, true, true), (true, true, true), (false, false, true), (true, false, false), (false, true, false),
        ] {
            let weights = weighted ? weight.values : nil
            let forward = ReferenceKernels.rmsNorm(x.values, weight: weights, columns: C, epsilon: 1e-5)
            let expected = ReferenceKernels.rmsNormBackward(
                outputGradient: outputGradient.values, x: x.values, weight: weights, rstd: forward.rstd, columns: C)
            let rstd = try Operand(forward.rstd, Float.self)
            let residual = overwrites ? expected.input : zip(expected.input, before.values).map { $0 + $1 }
            let what = "[\(N), \(C)] \(E.precision) overwrites \(overwrites) weighted \(weighted) writes \(writes)"
            let results = try onEachThreadCount(what) { compute in
                let gradient = try Buffer<Float>(count: N * C)
                gradient.set(before.buffer.array())
                let branch = try Buffer<E>(count: N * C)
                let output = try Buffer<E>(count: N * C)
                let weightGradient = try Buffer<Float>(count: C)
                let branchBias = try Buffer<Float>(count: C)
                RMSNorm.backward(
                    compute.pool, outputGradient: outputGradient.all, x: x.all, weight: weighted ? weight.all : nil,
                    rstd: rstd.all, residualGradient: gradient.all, overwrites: overwrites,
                    branchGradient: writes ? branch.all : nil, output: writes ? output.all : nil,
                    weightGradient: weighted && writes ? weightGradient.all : nil,
                    branchBiasGradient: writes ? branchBias.all : nil,
                    partials: try Partials(rows: N, columns: 2 * C), columns: C)
                return [
                    "residual": gradient.array(), "branch": branch.floats, "output": output.floats,
                    "weight": weightGradient.array(), "fed": branchBias.array(),
                ]
            }
            // A single column has almost no gradient: what is left of x̂ − x̂.
            let scaled = C == 1 ? 1e-4 : 3e-6
            let relative = storageError(E.precision)
            expectClose(results["residual"], residual, scaled: scaled, "residual gradient, \(what)")
            guard writes else { continue }
            expectClose(results["branch"], residual, relative: relative, scaled: scaled, "branch gradient, \(what)")
            expectClose(results["output"], forward.output, relative: relative, "output again, \(what)")
            let none = [Double](repeating: 0, count: C)
            expectClose(results["weight"], weighted ? expected.weight : none, scaled: 5e-6, "weight gradient, \(what)")
            let sums = ReferenceKernels.columnSums(residual, columns: C)
            expectClose(results["fed"], sums, scaled: max(scaled, 1e-5), "fed bias, \(what)")
        }
    }

    /// In fp32 the gradient of x may take the place of that of the output.
    @Test(arguments: shapes) func inPlace(rows N: Int, columns C: Int) throws {
        var random = TestRandom(UInt64(N + C))
        let outputGradient = try Operand(random.normal(N * C), Float.self)
        let x = try Operand(random.normal(N * C), Float.self)
        let rstd = try Operand([Double](repeating: 0.9, count: N), Float.self)
        let compute = try Compute(threadCount: 2)
        let apart = try Buffer<Float>(count: N * C)
        let together = try Buffer<Float>(count: N * C)
        together.set(outputGradient.buffer.array())
        for (source, target) in [(outputGradient.all, apart.all), (together.all, together.all)] {
            RMSNorm.backward(
                compute.pool, outputGradient: source, x: x.all, weight: nil, rstd: rstd.all, residualGradient: target,
                overwrites: true, branchGradient: nil, output: nil, weightGradient: nil, branchBiasGradient: nil,
                partials: try Partials(rows: N, columns: 2 * C), columns: C)
        }
        expectSame(together.array(), apart.array(), "[\(N), \(C)]")
    }

    /// The slope of the plain formula is that of the plain norm.
    @Test func referenceIsTheDerivative() {
        let C = 6
        var random = TestRandom(5)
        let (x, weight, dy) = (random.normal(2 * C), random.normal(C), random.normal(2 * C))
        func loss(_ x: [Double], _ weight: [Double]) -> Double {
            zip(ReferenceKernels.rmsNorm(x, weight: weight, columns: C, epsilon: 0.01).output, dy)
                .reduce(0) { $0 + $1.0 * $1.1 }
        }
        let rstd = ReferenceKernels.rmsNorm(x, weight: weight, columns: C, epsilon: 0.01).rstd
        let gradient = ReferenceKernels.rmsNormBackward(
            outputGradient: dy, x: x, weight: weight, rstd: rstd, columns: C)
        func slope(_ values: [Double], _ i: Int, _ f: ([Double]) -> Double) -> Double {
            var (up, down) = (values, values)
            up[i] += 1e-5
            down[i] -= 1e-5
            return (f(up) - f(down)) / 2e-5
        }
        for i in x.indices { #expect((slope(x, i) { loss($0, weight) } - gradient.input[i]).magnitude < 1e-8) }
        for i in weight.indices { #expect((slope(weight, i) { loss(x, $0) } - gradient.weight[i]).magnitude < 1e-8) }
    }
}
