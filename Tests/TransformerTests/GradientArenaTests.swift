import Foundation
import Kernels
import TestSupport
import Testing
import Transformer

/// What the trainer and the reducer rely on: which parts of the gradient are final when, and that a micro-batch's
/// gradient is a function of the micro-batch alone.
@Suite struct GradientArenaTests {
    private func model(_ precision: Precision, threads: Int = 1, family: String = "gpt2") throws -> TestModel {
        try TestModel(
            vocabulary: 101, context: 37, width: 40, layers: 3, heads: 4, batch: 3, precision: precision,
            threads: threads, variant: try #require(Families.all[family]))
    }

    /// The reported ranges lie next to each other from the end to the start, and hold their last values at once.
    @Test(arguments: Families.names, Precision.allCases)
    func rangesAreCompletedFromTheEndAndFinal(family: String, precision: Precision) throws {
        let test = try model(precision, family: family)
        test.setBatch(seed: 1)
        var start = test.arena.count
        var seen = [Float](repeating: .nan, count: test.arena.count)
        var count = 0
        _ = try test.model.lossAndGradients(into: test.arena) { range in
            #expect(range.upperBound == start)
            #expect(!range.isEmpty)
            start = range.lowerBound
            count += 1
            seen.replaceSubrange(range, with: test.arena.array(range))
        }
        #expect(start == 0)
        // The final norm, four pieces a layer, the embeddings.
        #expect(count == 1 + 4 * 3 + 1)
        let last = test.arena.array()
        let changed = test.model.layout.parameters.filter { seen[$0.range] != last[$0.range] }.map(\.name)
        #expect(changed.isEmpty)
    }

    @Test func errorFromTheReducerEndsTheStep() throws {
        struct Stop: Error {}
        let test = try model(.fp32)
        #expect(throws: Stop.self) { try test.model.lossAndGradients(into: test.arena) { _ in throw Stop() } }
    }

    /// The same bits whatever was computed before, and whatever the arena held.
    @Test(arguments: Families.names, [(Precision.fp32, 2), (.bf16, 1), (.bf16, 2)])
    func noMemoryOfOtherBatches(family: String, run: (precision: Precision, threads: Int)) throws {
        let fresh = try model(run.precision, threads: run.threads, family: family)
        fresh.setBatch(seed: 1)
        let first = try fresh.lossAndGradients()
        let used = try model(run.precision, threads: run.threads, family: family)
        for seed in [5, 6, 7] as [UInt64] {
            used.setBatch(seed: seed)
            _ = try used.lossAndGradients()
            _ = try used.model.loss(sequences: 2)
        }
        for parameter in used.model.layout.parameters {
            used.arena.set([Float](repeating: .nan, count: parameter.count), at: parameter.offset)
        }
        used.setBatch(seed: 1)
        let later = try used.lossAndGradients()
        #expect(first.loss == later.loss)
        let same = first.gradients.map(\.bitPattern) == later.gradients.map(\.bitPattern)
        #expect(same)
    }

    /// Elements between the tensors are zero for ever, so that norms and fingerprints of the whole arena may include
    /// them.
    @Test(arguments: Families.names) func gapsStayZero(family: String) throws {
        let test = try TestModel(
            vocabulary: 13, context: 7, width: 9, layers: 2, heads: 3, batch: 2,
            variant: try #require(Families.all[family]))
        test.setBatch(seed: 1)
        var gradients = try test.lossAndGradients().gradients
        var weights = test.model.weights.array()
        for parameter in test.model.layout.parameters {
            for place in parameter.range {
                gradients[place] = 0
                weights[place] = 0
            }
        }
        #expect(gradients.allSatisfy { $0 == 0 })
        #expect(weights.allSatisfy { $0 == 0 })
        #expect(weights.count > test.configuration.parameterCount)
    }

    /// The whole batch's gradient is the sum of its sequences' gradients.
    @Test func sumsOverSequences() throws {
        let whole = try model(.fp32)
        whole.setBatch(seed: 3)
        let (loss, gradients) = try whole.lossAndGradients()
        let one = try TestModel(vocabulary: 101, context: 37, width: 40, layers: 3, heads: 4, batch: 1)
        var lossSum = 0.0
        var sum = [Double](repeating: 0, count: gradients.count)
        for sequence in 0..<3 {
            let rows = sequence * 37..<(sequence + 1) * 37
            one.model.inputs.set(whole.model.inputs.array(rows))
            one.model.targets.set(whole.model.targets.array(rows))
            let part = try one.lossAndGradients()
            lossSum += part.loss
            for i in sum.indices { sum[i] += Double(part.gradients[i]) }
        }
        #expect((loss - lossSum).magnitude < 1e-6 * loss)
        #expect(relativeError(gradients, sum) < 2e-6)
    }

    /// Evaluation gives the loss that training gives, to the bit.
    @Test(arguments: Families.names, Precision.allCases)
    func evaluationAgreesWithTraining(family: String, precision: Precision) throws {
        let test = try model(precision, family: family)
        test.setBatch(seed: 4)
        let training = try test.lossAndGradients().loss
        #expect(try test.model.loss(sequences: 3) == training)
        let evaluation = try makeLanguageModel(
            test.configuration, precision: precision, microBatch: 3, compute: Compute(threadCount: 1), training: false)
        evaluation.weights.set(test.model.weights.array())
        evaluation.refreshOperands()
        evaluation.inputs.set(test.model.inputs.array())
        evaluation.targets.set(test.model.targets.array())
        #expect(try evaluation.loss(sequences: 3) == training)
        let parts = try (1...3).map { try evaluation.loss(sequences: $0) }
        #expect(parts[0] > 0 && parts[0] < parts[1] && parts[1] < parts[2])
    }

    /// A soft-cap is in both.
    @Test(arguments: Precision.allCases) func evaluationCapsLogits(precision: Precision) throws {
        let test = try TestModel(
            vocabulary: 19, context: 8, width: 16, layers: 1, heads: 2, batch: 2, precision: precision, scale: 1
        ) { $0.logitSoftCap = 0.5 }
        test.setBatch(seed: 4)
        let training = try test.lossAndGradients().loss
        #expect(try test.model.loss(sequences: 2) == training)
        // No token can be likelier than e^(2 · 0.5) times another.
        #expect(training < 16 * (log(19.0) + 1))
    }

    /// fp32 and bf16 lists of thread counts agree to rounding; to the bit only where oneDNN's products do.
    @Test(arguments: Families.names, Precision.allCases)
    func threadCountsAgreeToRounding(family: String, precision: Precision) throws {
        let one = try model(precision, family: family)
        one.setBatch(seed: 2)
        let expected = try one.lossAndGradients()
        for threads in 2...3 {
            let other = try model(precision, threads: threads, family: family)
            other.setBatch(seed: 2)
            let (loss, gradients) = try other.lossAndGradients()
            #expect((loss - expected.loss).magnitude < (precision == .fp32 ? 1e-6 : 1e-3) * loss)
            #expect(
                relativeError(gradients, expected.gradients.map(Double.init)) < (precision == .fp32 ? 2e-6 : 1e-2))
        }
    }

    /// Of 96 rows and whole vectors of columns, whose products have the same bits on every number of threads.
    @Test(arguments: Families.names, Compute.hasFastBFloat16 ? Precision.allCases : [.fp32])
    func threadCountsGiveTheSameBits(family: String, precision: Precision) throws {
        let variant = try #require(Families.all[family])
        let results = try (1...3).map { threads in
            let test = try TestModel(
                vocabulary: 96, context: 32, width: 32, layers: 2, heads: 2, batch: 3, precision: precision,
                threads: threads,
                variant: {
                    variant(&$0)
                    // Sizes of which every product is made of whole vectors.
                    $0.headSize = 16
                    $0.innerSize = 64
                })
            test.setBatch(seed: 2)
            let (loss, gradients) = try test.lossAndGradients()
            return [loss.bitPattern] + gradients.map { UInt64($0.bitPattern) }
        }
        for (index, result) in results.enumerated() {
            let same = result == results[0]
            #expect(same, "\(index + 1) threads")
        }
    }
}

@Suite struct FailureTests {
    @Test("T1: a product that failed ends the pass that used it, once")
    func failedProducts() throws {
        let test = try TestModel(vocabulary: 5, context: 3, width: 8, layers: 1, heads: 2, batch: 1)
        let compute = try Compute(threadCount: 1)
        let model = try makeLanguageModel(test.configuration, precision: .fp32, microBatch: 1, compute: compute)
        let gradients = try Buffer<Float>(count: model.layout.count)
        let generator = try Generator<Float>(test.configuration, promptLength: 1, length: 1, compute: compute)
        for pass in [
            { _ = try model.lossAndGradients(into: gradients) { _ in } }, { _ = try model.loss(sequences: 1) },
            { _ = try generator.logits(after: 1) },
        ] {
            compute.failNextProduct()
            #expect(throws: KernelError.self) { try pass() }
            try pass()
        }
    }
}
