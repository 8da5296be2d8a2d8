import Kernels
import TestSupport
import Testing
import Transformer

/// Models that drop values in training: what is dropped is a function of the micro-batch's key, and the gradient is that
/// of what is left.
@Suite struct ModelDropoutTests {
    static let families = ["gpt2", "llama", "gpt-neox", "modern"]
    static let rates: [String: DropoutRates] = [
        "embedding": DropoutRates(embedding: 0.2),
        "attention": DropoutRates(attention: 0.3),
        "residual": DropoutRates(residual: 0.25),
        "all": DropoutRates(embedding: 0.1, attention: 0.3, residual: 0.2),
    ]
    private static let all = DropoutRates(embedding: 0.1, attention: 0.3, residual: 0.2)
    private static let key = MicroBatchKey(seed: 7, step: 3, microBatch: 5)

    private func plainModel(_ family: String, precision: Precision = .fp32) throws -> TestModel {
        let test = try TestModel(
            vocabulary: 11, context: 7, width: 12, layers: 2, heads: 3, batch: 2, precision: precision,
            variant: try #require(Families.all[family]))
        test.setBatch(seed: 1)
        return test
    }

    /// The same model on the same batch, with dropout.
    private func dropping(
        _ rates: DropoutRates, _ test: TestModel, threads: Int = 1, recomputes: Bool = false
    ) throws -> any LanguageModel {
        let model = try makeLanguageModel(
            test.configuration, precision: test.model.precision, microBatch: test.model.microBatch,
            compute: Compute(threadCount: threads), recomputes: recomputes, dropout: rates)
        model.weights.set(test.model.weights.array())
        model.refreshOperands()
        model.inputs.set(test.model.inputs.array())
        model.targets.set(test.model.targets.array())
        return model
    }

    private func run(
        _ model: any LanguageModel, _ key: MicroBatchKey = key
    ) throws -> (loss: Double, gradients: [Float]) {
        let arena = try Buffer<Float>(count: model.layout.count)
        let loss = try model.lossAndGradients(into: arena, key: key) { _ in }
        return (loss, arena.array())
    }

    private func expectSameBits(
        _ actual: (loss: Double, gradients: [Float]), _ expected: (loss: Double, gradients: [Float]),
        _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(actual.loss == expected.loss, comment, sourceLocation: sourceLocation)
        let same = actual.gradients.map(\.bitPattern) == expected.gradients.map(\.bitPattern)
        #expect(same, comment, sourceLocation: sourceLocation)
    }

    // MARK: Gradients

    /// Every tensor against central differences of the plain model, whose values are multiplied by the same factors.
    @Test(arguments: families, rates.keys.sorted())
    func gradientsAreThoseOfWhatIsLeft(family: String, place: String) throws {
        let rates = try #require(Self.rates[place])
        let test = try plainModel(family)
        var reference = test.reference
        reference.factors = try factors(rates, test)
        let (loss, gradients) = try run(dropping(rates, test))
        test.expectDifferences(of: &reference, loss, gradients, samples: 8)
    }

    /// What the places of a model are multiplied by: a matrix of ones is, too.
    private func factors(_ rates: DropoutRates, _ test: TestModel) throws -> [Int: [Double]] {
        let (tokens, width) = (test.model.inputs.count, test.configuration.embeddingSize)
        let context = test.configuration.contextLength
        let compute = try Compute(threadCount: 1)
        func factors(_ probability: Double, _ place: Int, rows: Int, columns: Int) throws -> [Double]? {
            guard probability > 0 else { return nil }
            let values = try Buffer<Float>(count: rows * columns)
            values.set([Float](repeating: 1, count: values.count))
            Dropout(
                probability: probability, seed: Self.key.seed, step: Self.key.step, microBatch: Self.key.microBatch,
                place: place
            ).apply(compute.pool, values.all, columns: columns)
            return values.array().map(Double.init)
        }
        var found: [Int: [Double]] = [:]
        found[0] = try factors(rates.embedding, 0, rows: tokens, columns: width)
        for layer in 0..<test.configuration.layerCount {
            found[4 * layer + 1] = try factors(
                rates.attention, 4 * layer + 1, rows: tokens * test.configuration.headCount, columns: context)
            for place in [4 * layer + 2, 4 * layer + 3] {
                found[place] = try factors(rates.residual, place, rows: tokens, columns: width)
            }
        }
        return found
    }

    // MARK: What it depends on

    @Test(arguments: Families.names, Precision.allCases)
    func onlyAPassWithGradientsDrops(family: String, precision: Precision) throws {
        let test = try plainModel(family, precision: precision)
        let model = try dropping(Self.all, test)
        let expected = try test.model.loss(sequences: 2)
        #expect(try model.loss(sequences: 2) == expected)
        let (loss, _) = try run(model)
        #expect((loss - expected).magnitude > 1e-3 * expected)
        // The key of the pass before is forgotten.
        #expect(try model.loss(sequences: 2) == expected)
        #expect(try model.loss(sequences: 1) == test.model.loss(sequences: 1))
    }

    @Test(arguments: Families.names, Precision.allCases)
    func ratesOfZeroDropNothing(family: String, precision: Precision) throws {
        let test = try plainModel(family, precision: precision)
        expectSameBits(try run(dropping(DropoutRates(), test)), try test.lossAndGradients())
    }

    /// Also after another micro-batch, and in a model that is made anew.
    @Test(arguments: Families.names, Precision.allCases)
    func oneKeyHasOneResult(family: String, precision: Precision) throws {
        let test = try plainModel(family, precision: precision)
        let model = try dropping(Self.all, test)
        let first = try run(model)
        var losses: Set = [first.loss]
        for key in [
            MicroBatchKey(seed: 8, step: 3, microBatch: 5), MicroBatchKey(seed: 7, step: 4, microBatch: 5),
            MicroBatchKey(seed: 7, step: 3, microBatch: 6), MicroBatchKey(seed: 7, step: 5, microBatch: 3),
        ] { losses.insert(try run(model, key).loss) }
        #expect(losses.count == 5)
        expectSameBits(try run(model), first)
        for threads in 2...3 {
            expectSameBits(try run(dropping(Self.all, test, threads: threads)), first, "\(threads) threads")
        }
    }

    /// What is computed again for the backward pass drops what the forward pass dropped.
    @Test(arguments: Families.names, Precision.allCases)
    func recomputingHasTheSameBits(family: String, precision: Precision) throws {
        let test = try plainModel(family, precision: precision)
        for name in Self.rates.keys.sorted() {
            let rates = try #require(Self.rates[name])
            let models = try [false, true].map { try dropping(rates, test, recomputes: $0) }
            expectSameBits(try run(models[1]), try run(models[0]), "\(name)")
        }
    }

    /// In both precisions the same values are dropped: as PrecisionTests, with the same limits.
    @Test(arguments: Families.names) func bf16StaysNear(family: String) throws {
        let variant = try #require(Families.all[family])
        func model(_ precision: Precision) throws -> TestModel {
            let test = try TestModel(
                vocabulary: 96, context: 64, width: 64, layers: 2, heads: 4, batch: 4, precision: precision,
                scale: 0.05, variant: variant)
            test.setBatch(seed: 500)
            return test
        }
        let exact = try model(.fp32)
        let expected = try run(dropping(Self.all, exact))
        let rounded = try run(dropping(Self.all, model(.bf16)))
        #expect((rounded.loss - expected.loss).magnitude < 1e-3 * expected.loss)
        for parameter in exact.model.layout.parameters where !parameter.name.hasSuffix("k_proj.bias") {
            let error = relativeError(
                Array(rounded.gradients[parameter.range]), expected.gradients[parameter.range].map(Double.init))
            #expect(error < 0.04, "\(parameter.name)")
        }
    }
}
