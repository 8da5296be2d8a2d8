// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

/// M: a factor that is slightly wrong, in bf16, where the limit of a single number is 2⁻⁸.
///
/// Each stored number is off by up to 2⁻⁸ of itself, 0.17 % root mean square, in a direction of its own. Of n such
/// numbers the common factor is known √n times better: 10⁻⁴ at a few thousand of them, four times that is the limit.
@Suite struct ScaleTests {
    private static let limit = 4e-4

    @Test("M: attention in bf16, forward and the gradients of queries, keys and values", arguments: [(64, 2), (24, 4)])
    func attention(headSize D: Int, heads H: Int) throws {
        let (T, C) = (256, D * H)
        var random = TestRandom(UInt64(D))
        let qkv = try Operand(random.normal(T * 3 * C), BFloat16.self)
        let outputGradient = try Operand(random.normal(T * C), BFloat16.self)
        let columns = HeadColumns.sideBySide(heads: H, keyValueHeads: H, headSize: D)
        let reference = ReferenceAttention(sequences: 1, context: T, columns: columns)
        let expected = reference.forward(qkv.values)
        let compute = try Compute(threadCount: 1)
        let attention = try Attention<BFloat16>(compute, sequences: 1, context: T, columns: columns)
        let output = try Buffer<BFloat16>(count: T * C)
        let logSumExp = try Buffer<Float>(count: T * H)
        let qkvGradient = try Buffer<BFloat16>(count: T * 3 * C)
        let scale = 1 / Float(D).squareRoot()
        attention.forward(qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, scale: scale)
        attention.backward(
            qkv: qkv.all, output: output.all, logSumExp: logSumExp.all, outputGradient: outputGradient.all,
            qkvGradient: qkvGradient.all, scale: scale)
        #expect(scaleError(output.floats, expected.output) < Self.limit)
        let gradient = reference.backward(
            qkv.values, expected, output: output.floats.map(Double.init), outputGradient: outputGradient.values
        ).values
        let actual = qkvGradient.floats
        for part in 0..<3 {
            let places = actual.indices.filter { $0 / C % 3 == part }
            let error = scaleError(places.map { actual[$0] }, places.map { gradient[$0] })
            #expect(error < Self.limit, "gradient of \(["queries", "keys", "values"][part])")
        }
    }

    @Test("M: norms, GELU and cross-entropy in bf16") func elementWise() throws {
        let pool = try Compute(threadCount: 1).pool
        let (N, C) = (128, 80)
        var random = TestRandom(7)
        let x = try Operand(random.normal(N * C, scale: 2, mean: 1), Float.self)
        let weight = try Operand(random.normal(C, scale: 0.3, mean: 1), Float.self)
        let bias = try Operand(random.normal(C, scale: 0.3), Float.self)
        let dy = try Operand(random.normal(N * C), BFloat16.self)
        let normed = ReferenceKernels.layerNorm(
            residual: x.values, branch: nil, weight: weight.values, bias: bias.values, rows: N, columns: C)
        let y = try Buffer<BFloat16>(count: N * C)
        let (mean, rstd) = (try Buffer<Float>(count: N), try Buffer<Float>(count: N))
        LayerNorm.forward(
            pool, residual: x.all, adding: BufferSlice<BFloat16>?.none, sum: x.all, output: y.all, weight: weight.all,
            bias: bias.all, mean: mean.all, rstd: rstd.all, epsilon: 1e-5, columns: C)
        #expect(scaleError(y.floats, normed.output) < Self.limit)
        let backward = ReferenceKernels.layerNormBackward(
            outputGradient: dy.values, x: x.values, weight: weight.values, mean: normed.mean, rstd: normed.rstd,
            rows: N, columns: C)
        let branch = try Buffer<BFloat16>(count: N * C)
        LayerNorm.backward(
            pool, outputGradient: dy.all, x: x.all, weight: weight.all, bias: bias.all, mean: mean.all, rstd: rstd.all,
            residualGradient: try Buffer(count: N * C).all, overwrites: true, branchGradient: branch.all, output: y.all,
            weightGradient: try Buffer(count: C).all, biasGradient: try Buffer(count: C).all,
            branchBiasGradient: nil, partials: try Partials(rows: N, columns: 3 * C), columns: C)
        #expect(scaleError(branch.floats, backward.input) < Self.limit)

        let hidden = try Operand(random.normal(N * C, scale: 2), BFloat16.self)
        let activated = try Buffer<BFloat16>(count: N * C)
        Activation.geluNew.forward(pool, hidden.all, into: activated.all)
        #expect(
            scaleError(activated.floats, hidden.values.map { ReferenceKernels.activation(.geluNew, $0) }) < Self.limit)
        let gradient = try Buffer<BFloat16>(count: N * C)
        gradient.set(dy.buffer.array())
        Activation.geluNew.backward(
            pool, x: hidden.all, gradient: gradient.all, output: activated.all,
            biasGradient: try Buffer(count: C).all, partials: try Partials(rows: N, columns: C), columns: C)
        let slopes = zip(hidden.values, dy.values).map { ReferenceKernels.activationSlope(.geluNew, $0) * $1 }
        #expect(scaleError(gradient.floats, slopes) < Self.limit)

        let targets = try Buffer<Int32>(count: N)
        targets.set(random.tokens(N, below: C))
        let expected = ReferenceKernels.crossEntropy(
            logits: hidden.values, targets: targets.array(), vocabulary: C)
        CrossEntropy.loss(
            pool, logits: hidden.all, targets: targets.all, losses: try Buffer<Float>(count: N).all,
            vocabulary: C, scratch: try Buffer<Float>(count: C).all, writesGradient: true)
        #expect(scaleError(hidden.buffer.floats, expected.gradient) < Self.limit)
    }

    @Test("M: products in bf16", arguments: [Matmul.Layout.plain, .aTransposed, .bTransposed])
    func products(layout: Matmul.Layout) throws {
        let (M, K, N) = (96, 70, 80)
        var random = TestRandom(11)
        let a = try Operand(random.normal(M * K), BFloat16.self)
        let b = try Operand(random.normal(K * N), BFloat16.self)
        let storedA = layout == .aTransposed ? ReferenceKernels.transposed(a.values, rows: M, columns: K) : a.values
        let storedB = layout == .bTransposed ? ReferenceKernels.transposed(b.values, rows: K, columns: N) : b.values
        let expected = ReferenceKernels.matmul(a.values, b.values, rows: M, inner: K, columns: N)
        let product = try Matmul(
            Workspace(try Compute(threadCount: 1)), layout, rows: M, inner: K, columns: N, input: .bf16, output: .bf16)
        let c = try Buffer<BFloat16>(count: M * N)
        product.run(try Operand(storedA, BFloat16.self).all, try Operand(storedB, BFloat16.self).all, into: c.all)
        #expect(scaleError(c.floats, expected) < Self.limit)
    }
}
