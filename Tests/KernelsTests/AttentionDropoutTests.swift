// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import TestSupport
import Testing

/// Attention whose weights are dropped, against whole T × T matrices of Double.
@Suite struct AttentionDropoutTests {
    /// Odd sizes; heads that share keys and values; one tile of keys and two.
    static let shapes = [
        AttentionTests.Shape(context: 1, headSize: 8, heads: 2, sequences: 3),
        .init(context: 7, headSize: 9, heads: 4, keyValueHeads: 1, sequences: 2),
        .init(context: 37, headSize: 16, heads: 3, sequences: 2),
        .init(context: 65, headSize: 17, heads: 6, keyValueHeads: 2, sequences: 2),
        .init(context: 66, headSize: 10, heads: 3, isInterleaved: true, sequences: 2),
        .init(context: 300, headSize: 8, heads: 4, keyValueHeads: 2, sequences: 1),
    ]
    private static let scale = 0.4

    @Test(arguments: shapes, Precision.allCases)
    func agreesWithWholeMatrices(shape: AttentionTests.Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try check(shape, Float.self)
        case .bf16: try check(shape, BFloat16.self)
        }
    }

    /// Probability 0 is no dropout, bit by bit.
    @Test func probabilityZeroDropsNothing() throws {
        let shape = Self.shapes[3]
        let compute = try Compute(threadCount: 1)
        let operands = try Operands<BFloat16>(shape)
        let none = try run(shape, operands, nil, compute)
        for (name, values) in try run(shape, operands, dropout(0), compute) {
            expectSame(values.map(\.bitPattern), none[name]?.map(\.bitPattern), name)
        }
    }

    private struct Operands<E: ActivationElement> {
        let qkv, outputGradient: Operand<E>

        init(_ shape: AttentionTests.Shape) throws {
            let rows = shape.sequences * shape.context
            var random = TestRandom(UInt64(shape.context))
            qkv = try Operand(random.normal(rows * shape.columns.width))
            outputGradient = try Operand(random.normal(rows * shape.columns.outputWidth))
        }
    }

    private func dropout(_ probability: Double) -> Dropout {
        Dropout(probability: probability, seed: 3, step: 1, microBatch: 4, place: 5)
    }

    private func run<E: ActivationElement>(
        _ shape: AttentionTests.Shape, _ operands: Operands<E>, _ dropout: Dropout?, _ compute: Compute
    ) throws -> Results {
        let columns = shape.columns
        let attention = try Attention<E>(
            compute, sequences: shape.sequences, context: shape.context, columns: columns)
        let output = try Buffer<E>(count: operands.outputGradient.values.count)
        let logSumExp = try Buffer<Float>(count: shape.sequences * shape.context * columns.heads)
        let gradient = try Buffer<E>(count: operands.qkv.values.count)
        // Twice: the second run must not see what the first left in the working memory.
        for _ in 0..<2 {
            attention.forward(
                qkv: operands.qkv.all, output: output.all, logSumExp: logSumExp.all, scale: Float(Self.scale),
                dropout: dropout)
            attention.backward(
                qkv: operands.qkv.all, output: output.all, logSumExp: logSumExp.all,
                outputGradient: operands.outputGradient.all, qkvGradient: gradient.all, scale: Float(Self.scale),
                dropout: dropout)
        }
        return ["output": output.floats, "logSumExp": logSumExp.array(), "gradient": gradient.floats]
    }

    private func check<E: ActivationElement>(_ shape: AttentionTests.Shape, _: E.Type) throws {
        let operands = try Operands<E>(shape)
        let dropout = dropout(0.25)
        let results = try onEachThreadCount("\(shape)") { try run(shape, operands, dropout, $0) }
        let (B, H, T) = (shape.sequences, shape.heads, shape.context)
        let factors = try Buffer<Float>(count: B * H * T * T)
        factors.set([Float](repeating: 1, count: factors.count))
        dropout.apply(try Compute(threadCount: 1).pool, factors.all, columns: T)
        let expected = reference(
            shape, operands.qkv.values, operands.outputGradient.values, factors.array().map(Double.init))
        // fp32: exponentials and sums of up to 300 products. bf16: a term is rounded three times at most, the result once.
        let limit = E.precision == .fp32 ? 3e-6 : 4 * 0x1p-9
        #expect(relativeError(try #require(results["output"]), expected.output) < limit, "output")
        let gradient = try #require(results["gradient"])
        for (part, name) in ["q", "k", "v"].enumerated() {
            let places = ReferenceAttention(sequences: B, context: T, columns: shape.columns).places(part)
            let error = relativeError(places.map { gradient[$0] }, places.map { expected.gradient[$0] })
            // Of one token's query and key there is none.
            if T > 1 || part == 2 { #expect(error < limit, "gradient of \(name)") }
        }
        // What is dropped is not missing in the softmax's denominator.
        let whole = try run(shape, operands, nil, Compute(threadCount: 1))
        expectSame(results["logSumExp"], whole["logSumExp"], "log-sum-exp")
        if T > 1 { #expect(whole["output"] != results["output"]) }
    }

    /// The output, and the gradient of queries, keys and values by the chain rule, step by step; `factors` are what the
    /// weights [B, H, T, T] are multiplied by.
    private func reference(
        _ shape: AttentionTests.Shape, _ qkv: [Double], _ outputGradient: [Double], _ factors: [Double]
    ) -> (output: [Double], gradient: [Double]) {
        let (T, H, D) = (shape.context, shape.heads, shape.headSize)
        let columns = shape.columns
        var output = [Double](repeating: 0, count: outputGradient.count)
        var gradient = [Double](repeating: 0, count: qkv.count)
        for pair in 0..<shape.sequences * H {
            let (b, h) = pair.quotientAndRemainder(dividingBy: H)
            let group = h / (H / columns.keyValueHeads)
            func place(_ t: Int, _ column: Int) -> Int { (b * T + t) * columns.width + column }
            for t in 0..<T {
                let q = place(t, columns.query(h))
                let keys = (0...t).map { place($0, columns.key(group)) }
                let values = (0...t).map { place($0, columns.value(group)) }
                let y = (b * T + t) * columns.outputWidth + h * D
                let powers = keys.map { k in exp(Self.scale * (0..<D).reduce(0) { $0 + qkv[q + $1] * qkv[k + $1] }) }
                let total = powers.reduce(0, +)
                let p = powers.map { $0 / total }
                let m = factors[(pair * T + t) * T..<(pair * T + t) * T + t + 1]
                let weights = zip(p, m).map { $0 * $1 }
                for (weight, v) in zip(weights, values) {
                    for d in 0..<D {
                        output[y + d] += weight * qkv[v + d]
                        gradient[v + d] += weight * outputGradient[y + d]
                    }
                }
                let dp = zip(m, values).map { m, v in
                    m * (0..<D).reduce(0) { $0 + outputGradient[y + $1] * qkv[v + $1] }
                }
                let mean = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
                for ((p, dp), k) in zip(zip(p, dp), keys) {
                    let ds = p * (dp - mean) * Self.scale
                    for d in 0..<D {
                        gradient[q + d] += ds * qkv[k + d]
                        gradient[k + d] += ds * qkv[q + d]
                    }
                }
            }
        }
        return (output, gradient)
    }
}
