import Kernels
import TestSupport
import Testing

@Suite struct EmbeddingTests {
    /// Vocabularies smaller than the batch, so that tokens repeat.
    @Test(arguments: [(1, 1, 5, 5), (1, 7, 20, 3), (3, 64, 48, 97), (2, 65, 130, 1000)])
    func agrees(sequences: Int, context: Int, columns: Int, vocabulary: Int) throws {
        let (N, C) = (sequences * context, columns)
        var random = TestRandom(UInt64(N + C))
        let tokens = try Buffer<Int32>(count: N)
        tokens.set(random.tokens(N, below: vocabulary))
        let table = try Operand(random.normal(vocabulary * C), Float.self)
        let positions = try Operand(random.normal((context + 2) * C), Float.self)
        let gradient = try Operand(random.normal(N * C), Float.self)
        let before = try Operand(random.normal(vocabulary * C), Float.self)
        var output: [Double] = []
        var tokenGradient = before.values
        var positionGradient = [Double](repeating: 0, count: (context + 2) * C)
        for (n, token) in tokens.array().enumerated() {
            for c in 0..<C {
                output.append(table.values[Int(token) * C + c] + positions.values[n % context * C + c])
                tokenGradient[Int(token) * C + c] += gradient.values[n * C + c]
                positionGradient[n % context * C + c] += gradient.values[n * C + c]
            }
        }
        // What a head that is tied to the table has written already stays, or goes.
        for overwrites in [false, true] {
            let results = try onEachThreadCount("[\(sequences), \(context), \(columns)]") { compute in
                let y = try Buffer<Float>(count: N * C)
                Embedding.forward(
                    compute.pool, tokens: tokens.all, tokenTable: table.all, positionTable: positions.all,
                    output: y.all,
                    context: context, columns: C)
                let tokenSums = try Buffer<Float>(count: vocabulary * C)
                tokenSums.set(before.buffer.array())
                let positionSums = try Buffer<Float>(count: (context + 2) * C)
                positionSums.set(random.normal((context + 2) * C).map { Float($0) })
                Embedding.backward(
                    compute.pool, tokens: tokens.all, gradient: gradient.all, tokenGradient: tokenSums.all,
                    positionGradient: positionSums.all, overwrites: overwrites, context: context, columns: C)
                let alone = try Buffer<Float>(count: N * C)
                Embedding.forward(
                    compute.pool, tokens: tokens.all, tokenTable: table.all, positionTable: nil, output: alone.all,
                    context: context, columns: C)
                let aloneSums = try Buffer<Float>(count: vocabulary * C)
                aloneSums.set(before.buffer.array())
                Embedding.backward(
                    compute.pool, tokens: tokens.all, gradient: gradient.all, tokenGradient: aloneSums.all,
                    positionGradient: nil, overwrites: overwrites, context: context, columns: C)
                return [
                    "output": y.array(), "tokens": tokenSums.array(), "positions": positionSums.array(),
                    "alone": alone.array(), "token sums alone": aloneSums.array(),
                ]
            }
            expectClose(results["output"], output, scaled: 1e-7, "output")
            let rows = tokens.array().flatMap { table.buffer.array(Int($0) * C..<(Int($0) + 1) * C) }
            expectSame(results["alone"], rows, "output without positions")
            expectSame(results["token sums alone"], results["tokens"], "token gradient without positions")
            let tokens = overwrites ? zip(tokenGradient, before.values).map { $0 - $1 } : tokenGradient
            expectClose(results["tokens"], tokens, scaled: 1e-6, "token gradient")
            expectClose(results["positions"], positionGradient, scaled: 1e-6, "position gradient")
        }
    }
}
