import Kernels
import TestSupport
import Testing
import Transformer

/// Numbers of the whole model against PyTorch's float64 run. Limits: about ten times what PyTorch's own float32
/// differs from its float64 (the table in Tests/Reference/README.md).
@Suite struct PyTorchTests {
    @Test(arguments: [1, 2, 3])
    func everyGradientAgrees(threads: Int) throws {
        let fixture = try GPT2Fixture(threads: threads)
        let (loss, gradients) = try fixture.lossAndGradients()
        let expectedLoss = try fixture.batch.doubles("loss_sum_f64")[0]
        #expect((loss - expectedLoss).magnitude / expectedLoss < 2e-6)
        #expect(gradients.count == 28)
        for (name, gradient) in gradients {
            let expected = try fixture.batch.doubles(name)
            #expect(relativeError(gradient, expected) < 1e-5, "\(name)")
            #expect(largestError(gradient, expected) < 1e-5, "\(name)")
        }
    }

    @Test func lossOfEachSequenceAgrees() throws {
        let fixture = try GPT2Fixture(training: false)
        let losses = try fixture.batch.doubles("losses")
        for sequences in 1...3 {
            let expected = losses.prefix(sequences * 23).reduce(0, +)
            let actual = try fixture.model.loss(sequences: sequences)
            #expect((actual - expected).magnitude / expected < 2e-6)
        }
    }

    /// The model shows no logits, but a row's loss for target v is a constant minus the logit of v.
    @Test(arguments: [0, 1, 22, 23, 45, 68])
    func logitsAgree(row: Int) throws {
        let fixture = try GPT2Fixture(training: false)
        var targets = try fixture.batch.tokens("targets")
        let expected = try fixture.batch.doubles("logits")[row * 97..<(row + 1) * 97]
        var logits: [Double] = []
        for token in 0..<97 {
            targets[row] = Int32(token)
            fixture.model.targets.set(targets)
            logits.append(-(try fixture.model.loss(sequences: 3)))
        }
        let mean = logits.reduce(0, +) / 97
        let expectedMean = expected.reduce(0, +) / 97
        #expect(relativeError(logits.map { $0 - mean }, expected.map { $0 - expectedMean }) < 5e-6)
    }

    /// bf16 keeps 8 bits of significand: each stored activation is off by up to 2⁻⁸ of itself, and some twenty
    /// roundings lie on the way from the loss to the first layer's gradients. This model's random weights are ten
    /// times the usual size, so the limits are wide; `PrecisionTests` has the tight ones.
    @Test func bf16StaysNear() throws {
        let fixture = try GPT2Fixture(precision: .bf16)
        let (loss, gradients) = try fixture.lossAndGradients()
        let expectedLoss = try fixture.batch.doubles("loss_sum_f64")[0]
        #expect((loss - expectedLoss).magnitude / expectedLoss < 2e-3)
        for (name, gradient) in gradients {
            #expect(relativeError(gradient, try fixture.batch.doubles(name)) < 0.03, "\(name)")
        }
    }
}
