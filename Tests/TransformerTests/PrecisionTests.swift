import Kernels
import TestSupport
import Testing
import Transformer

/// bf16 gradients against fp32 ones on a model of real proportions: four layers, heads of 32, new and trained weights.
///
/// Each stored activation and operand is off by up to 2⁻⁸ of itself (0.39 %, 0.17 % root mean square); a gradient
/// passes some thirty such roundings on its way through four layers, which add up as independent errors do: 1 %. Measured: 0.8 %.
@Suite struct PrecisionTests {
    @Test(arguments: [(64, 2, 0), (128, 4, 0), (128, 4, 40)])
    func everyGradientStaysNear(width: Int, heads: Int, steps: Int) throws {
        let exact = try model(width, heads, .fp32)
        try train(exact, steps: steps)
        exact.setLearnableBatch(seed: 500)
        let (loss, gradients) = try exact.lossAndGradients()
        if steps > 0 { #expect(loss / Double(exact.model.inputs.count) < 3.5, "it has learned something") }
        let rounded = try model(width, heads, .bf16)
        rounded.model.weights.set(exact.model.weights.array())
        rounded.model.refreshOperands()
        rounded.setLearnableBatch(seed: 500)
        let (roundedLoss, roundedGradients) = try rounded.lossAndGradients()
        #expect((roundedLoss - loss).magnitude < 1e-3 * loss)
        for parameter in exact.model.layout.parameters {
            let error = relativeError(
                Array(roundedGradients[parameter.range]), gradients[parameter.range].map(Double.init))
            #expect(error < 0.012, "\(parameter.name) after \(steps) steps")
        }
    }

    /// Every family, with random weights and small heads, where single roundings weigh more.
    @Test(arguments: Families.names) func everyGradientOfAFamilyStaysNear(name: String) throws {
        let variant = try #require(Families.all[name])
        func run(_ precision: Precision) throws -> (TestModel, (loss: Double, gradients: [Float])) {
            let test = try TestModel(
                vocabulary: 96, context: 64, width: 64, layers: 2, heads: 4, batch: 4, precision: precision,
                scale: 0.05, variant: variant)
            test.setBatch(seed: 500)
            return (test, try test.lossAndGradients())
        }
        let (exact, expected) = try run(.fp32)
        let (_, rounded) = try run(.bf16)
        #expect((rounded.loss - expected.loss).magnitude < 1e-3 * expected.loss)
        // A key's bias adds nearly the same to all scores of a query, and its gradient is what is left of large terms.
        for parameter in exact.model.layout.parameters where !parameter.name.hasSuffix("k_proj.bias") {
            let error = relativeError(
                Array(rounded.gradients[parameter.range]), expected.gradients[parameter.range].map(Double.init))
            #expect(error < 0.04, "\(parameter.name)")
        }
    }

    private func model(_ width: Int, _ heads: Int, _ precision: Precision) throws -> TestModel {
        try TestModel(
            vocabulary: 96, context: 64, width: width, layers: 4, heads: heads, batch: 4, precision: precision,
            scale: nil)
    }

    /// A few AdamW updates, in fp32.
    private func train(_ test: TestModel, steps: Int) throws {
        let layout = test.model.layout
        let first = try Buffer<Float>(count: layout.count)
        let second = try Buffer<Float>(count: layout.count)
        let compute = try Compute(threadCount: 1)
        for step in 1..<steps + 1 {
            test.setLearnableBatch(seed: UInt64(step))
            _ = try test.lossAndGradients()
            AdamWUpdate.apply(
                compute.pool, weights: test.model.weights.all, gradients: test.arena.all, firstMoments: first.all,
                secondMoments: second.all, copy: nil,
                AdamWUpdate.Coefficients(
                    learningRate: 2e-3, weightDecay: 0, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: step,
                    gradientScale: 1 / Double(test.model.inputs.count)))
        }
    }
}
