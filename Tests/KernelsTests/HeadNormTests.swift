// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct HeadNormTests {
    static let layouts = [
        HeadColumns.sideBySide(heads: 3, keyValueHeads: 1, headSize: 5),
        .sideBySide(heads: 4, keyValueHeads: 2, headSize: 16), .interleaved(heads: 2, headSize: 33),
        .sideBySide(heads: 1, keyValueHeads: 1, headSize: 130),
    ]

    @Test(arguments: [1, 7, 65, 257], layouts)
    func agrees(rows: Int, columns: HeadColumns) throws {
        for (queries, keys) in [(true, true), (false, false), (true, false), (false, true)] {
            try check(rows, columns, weighsQueries: queries, weighsKeys: keys, Float.self)
            try check(rows, columns, weighsQueries: queries, weighsKeys: keys, BFloat16.self)
        }
    }

    private func check<E: ActivationElement>(
        _ N: Int, _ columns: HeadColumns, weighsQueries: Bool, weighsKeys: Bool, _: E.Type
    ) throws {
        let (W, H, D) = (columns.width, columns.heads, columns.headSize)
        let heads = H + columns.keyValueHeads
        var random = TestRandom(UInt64(N * 1000 + W))
        let rows = try Operand(random.normal(N * W, scale: 2, mean: 0.5), E.self)
        let gradient = try Operand(random.normal(N * W), E.self)
        let queryWeight = try Operand(random.normal(D, scale: 0.3, mean: 1), Float.self)
        let keyWeight = try Operand(random.normal(D, scale: 0.3, mean: 2), Float.self)
        var output = rows.values
        var unnormed: [Double] = []
        var inputGradient = gradient.values
        var weightGradients = [[Double](repeating: 0, count: D), [Double](repeating: 0, count: D)]
        for n in 0..<N {
            for head in 0..<heads {
                let start = n * W + (head < H ? columns.query(head) : columns.key(head - H))
                let x = Array(rows.values[start..<start + D])
                let weighs = head < H ? weighsQueries : weighsKeys
                let weight = weighs ? (head < H ? queryWeight.values : keyWeight.values) : nil
                let norm = ReferenceKernels.rmsNorm(x, weight: weight, columns: D, epsilon: 1e-3)
                let back = ReferenceKernels.rmsNormBackward(
                    outputGradient: Array(gradient.values[start..<start + D]), x: x, weight: weight, rstd: norm.rstd,
                    columns: D)
                unnormed += x
                output.replaceSubrange(start..<start + D, with: norm.output)
                inputGradient.replaceSubrange(start..<start + D, with: back.input)
                for d in 0..<D where weighs { weightGradients[head < H ? 0 : 1][d] += back.weight[d] }
            }
        }
        let what = "\(N) rows of \(columns) \(E.precision), weights \(weighsQueries) \(weighsKeys)"
        let results = try onEachThreadCount(what) { compute in
            let y = try Buffer<E>(count: N * W)
            y.set(rows.buffer.array())
            let alone = try Buffer<E>(count: N * W)
            alone.set(rows.buffer.array())
            let kept = try Buffer<E>(count: N * heads * D)
            let dx = try Buffer<E>(count: N * W)
            dx.set(gradient.buffer.array())
            let dqw = try Buffer<Float>(count: D)
            let dkw = try Buffer<Float>(count: D)
            let qw = weighsQueries ? queryWeight.all : nil
            let kw = weighsKeys ? keyWeight.all : nil
            for (target, unnormed) in [(y.all, kept.all), (alone.all, nil)] {
                HeadNorm.forward(
                    compute.pool, rows: target, columns: columns, unnormed: unnormed, queryWeight: qw, keyWeight: kw,
                    epsilon: 1e-3)
            }
            HeadNorm.backward(
                compute.pool, gradient: dx.all, columns: columns, unnormed: kept.all, queryWeight: qw, keyWeight: kw,
                queryWeightGradient: weighsQueries ? dqw.all : nil, keyWeightGradient: weighsKeys ? dkw.all : nil,
                epsilon: 1e-3, partials: try Partials(rows: N, columns: 2 * D))
            return [
                "output": y.floats, "alone": alone.floats, "unnormed": kept.floats, "gradient": dx.floats,
                "query": dqw.array(), "key": dkw.array(),
            ]
        }
        let relative = storageError(E.precision)
        expectClose(results["output"], output, relative: relative, "output of \(what)")
        expectSame(results["alone"], results["output"], "output alone of \(what)")
        expectSame(results["unnormed"]?.map(Double.init), unnormed, "unnormed of \(what)")
        expectClose(results["gradient"], inputGradient, relative: relative, scaled: 5e-6, "gradient of \(what)")
        expectClose(results["query"], weightGradients[0], scaled: 5e-6, "query weights of \(what)")
        expectClose(results["key"], weightGradients[1], scaled: 5e-6, "key weights of \(what)")
        for n in 0..<N {
            for group in 0..<columns.keyValueHeads {
                let value = n * W + columns.value(group)..<n * W + columns.value(group) + D
                expectSame(
                    results["output"].map { Array($0[value]) }, rows.buffer.floats[value].map { $0 }, "values, \(what)")
                expectSame(
                    results["gradient"].map { Array($0[value]) }, gradient.buffer.floats[value].map { $0 },
                    "gradients of values, \(what)")
            }
        }
    }
}
