import Kernels
import TestSupport
import Testing

@Suite struct LayerNormTests {
    struct Shape: CustomTestStringConvertible {
        var rows: Int
        var columns: Int
        var testDescription: String { "[\(rows), \(columns)]" }
    }

    static let shapes = [(1, 5), (7, 16), (63, 24), (64, 80), (65, 130), (257, 48), (300, 33), (128, 1)].map {
        Shape(rows: $0.0, columns: $0.1)
    }

    @Test(arguments: shapes, Precision.allCases)
    func forward(shape: Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try checkForward(shape, Float.self)
        case .bf16: try checkForward(shape, BFloat16.self)
        }
    }

    @Test(arguments: shapes, Precision.allCases)
    func backward(shape: Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try checkBackward(shape, Float.self)
        case .bf16: try checkBackward(shape, BFloat16.self)
        }
    }

    private func checkForward<E: ActivationElement>(_ shape: Shape, _: E.Type) throws {
        let (N, C) = (shape.rows, shape.columns)
        var random = TestRandom(UInt64(N * 1000 + C))
        let residual = try Operand(random.normal(N * C, scale: 2, mean: 1), Float.self)
        let branch = try Operand(random.normal(N * C), E.self)
        let weight = try Operand(random.normal(C, scale: 0.3, mean: 1), Float.self)
        let bias = try Operand(random.normal(C, scale: 0.3), Float.self)
        for adds in [true, false] {
            let expected = ReferenceKernels.layerNorm(
                residual: residual.values, branch: adds ? branch.values : nil, weight: weight.values,
                bias: bias.values, rows: N, columns: C, epsilon: adds ? 1e-5 : 0.01)
            let untouched = [Float](repeating: -7, count: N * C)
            let results = try onEachThreadCount("\(shape) \(E.precision)") { compute in
                let sum = try Buffer<Float>(count: N * C)
                sum.set(untouched)
                let output = try Buffer<E>(count: N * C)
                let mean = try Buffer<Float>(count: N)
                let rstd = try Buffer<Float>(count: N)
                LayerNorm.forward(
                    compute.pool, residual: residual.all, adding: adds ? branch.all : nil, sum: sum.all,
                    output: output.all, weight: weight.all, bias: bias.all, mean: mean.all, rstd: rstd.all,
                    epsilon: adds ? 1e-5 : 0.01, columns: C)
                return ["sum": sum.array(), "output": output.floats, "mean": mean.array(), "rstd": rstd.array()]
            }
            if adds {
                expectClose(results["sum"], expected.sum, "sum of \(shape)")
            } else {
                expectSame(results["sum"], untouched, "untouched sum")
            }
            // A single column has no variance: rstd is 1/√1e-5 and scales every rounding of the mean up.
            let scaled = C == 1 ? 1e-3 : 3e-6
            expectClose(results["mean"], expected.mean, "mean of \(shape)")
            expectClose(results["rstd"], expected.rstd, "rstd of \(shape)")
            expectClose(
                results["output"], expected.output, relative: storageError(E.precision), scaled: scaled,
                "output of \(shape)")
        }
    }

    private func checkBackward<E: ActivationElement>(_ shape: Shape, _: E.Type) throws {
        let (N, C) = (shape.rows, shape.columns)
        var random = TestRandom(UInt64(N * 1000 + C + 1))
        let outputGradient = try Operand(random.normal(N * C), E.self)
        let x = try Operand(random.normal(N * C, scale: 2, mean: 1), Float.self)
        let weight = try Operand(random.normal(C, scale: 0.3, mean: 1), Float.self)
        let bias = try Operand(random.normal(C, scale: 0.3), Float.self)
        let before = try Operand(random.normal(N * C), Float.self)
        let forward = ReferenceKernels.layerNorm(
            residual: x.values, branch: nil, weight: weight.values, bias: bias.values, rows: N, columns: C)
        let mean = try Operand(forward.mean, Float.self)
        let rstd = try Operand(forward.rstd, Float.self)
        let expected = ReferenceKernels.layerNormBackward(
            outputGradient: outputGradient.values, x: x.values, weight: weight.values, mean: forward.mean,
            rstd: forward.rstd, rows: N, columns: C)
        for (overwrites, feeds) in [(false, true), (true, true), (false, false)] {
            let residualGradient = overwrites ? expected.input : zip(expected.input, before.values).map { $0 + $1 }
            let what = "\(shape) \(E.precision) overwrites \(overwrites)"
            let results = try onEachThreadCount(what) { compute in
                let gradient = try Buffer<Float>(count: N * C)
                gradient.set(before.buffer.array())
                let branch = try Buffer<E>(count: N * C)
                let output = try Buffer<E>(count: N * C)
                let weightGradient = try Buffer<Float>(count: C)
                let biasGradient = try Buffer<Float>(count: C)
                let branchBias = try Buffer<Float>(count: C)
                LayerNorm.backward(
                    compute.pool, outputGradient: outputGradient.all, x: x.all, weight: weight.all, bias: bias.all,
                    mean: mean.all, rstd: rstd.all, residualGradient: gradient.all, overwrites: overwrites,
                    branchGradient: E.precision == .bf16 ? branch.all : nil, output: output.all,
                    weightGradient: weightGradient.all, biasGradient: biasGradient.all,
                    branchBiasGradient: feeds ? branchBias.all : nil, partials: try Partials(rows: N, columns: 3 * C),
                    columns: C)
                return [
                    "residual": gradient.array(), "branch": branch.floats, "output": output.floats,
                    "weight": weightGradient.array(), "bias": biasGradient.array(), "fed": branchBias.array(),
                ]
            }
            let scaled = C == 1 ? 1e-3 : 3e-6
            expectClose(results["residual"], residualGradient, scaled: scaled, "residual gradient, \(what)")
            expectClose(results["weight"], expected.weight, scaled: scaled, "weight gradient, \(what)")
            expectClose(results["bias"], expected.bias, "bias gradient, \(what)")
            expectClose(
                results["output"], forward.output, relative: storageError(E.precision), scaled: scaled,
                "output again, \(what)")
            if E.precision == .bf16 {
                expectClose(
                    results["branch"], residualGradient, relative: 0x1p-8, scaled: scaled, "branch gradient, \(what)")
            }
            let sums = ReferenceKernels.columnSums(residualGradient, columns: C)
            expectClose(results["fed"], feeds ? sums : sums.map { _ in 0 }, scaled: 1e-5, "fed bias, \(what)")
        }
    }
}
