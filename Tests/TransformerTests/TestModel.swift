import Kernels
import TestSupport
import Transformer

/// A small model with random weights and batches, in both precisions.
struct TestModel {
    let configuration: DecoderConfiguration
    let model: any LanguageModel
    let arena: Buffer<Float>

    /// - Parameter scale: deviation of the random weights; nil for those of a new model.
    init(
        vocabulary: Int, context: Int, width: Int, layers: Int, heads: Int, batch: Int, precision: Precision = .fp32,
        threads: Int = 1, recomputes: Bool = false, dropout: DropoutRates = DropoutRates(), pieceLengths: [Int] = [],
        scale: Double? = 0.2, seed: UInt64 = 1,
        variant: (inout DecoderConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = try DecoderConfiguration(
            vocabularySize: vocabulary, contextLength: context, embeddingSize: width, layerCount: layers,
            headCount: heads)
        variant(&configuration)
        try configuration.validate()
        self.configuration = configuration
        model = try makeLanguageModel(
            configuration, precision: precision, microBatch: batch, compute: Compute(threadCount: threads),
            recomputes: recomputes, dropout: dropout, pieceLengths: pieceLengths)
        arena = try Buffer(count: model.layout.count)
        if let scale {
            var random = TestRandom(seed)
            for parameter in model.layout.parameters {
                let mean = parameter.initialization == .ones ? 1.0 : 0
                let values = random.normal(parameter.count, scale: scale, mean: mean)
                model.weights.set(values.map { Float($0) }, at: parameter.offset)
            }
        } else {
            model.layout.initialize(model.weights, seed: seed)
        }
        model.refreshOperands()
    }

    /// Fills the batch with random tokens.
    func setBatch(seed: UInt64) {
        var random = TestRandom(seed &+ 1000)
        model.inputs.set(random.tokens(model.inputs.count, below: configuration.vocabularySize))
        model.targets.set(random.tokens(model.targets.count, below: configuration.vocabularySize))
    }

    /// Fills the batch with a text that can be learned: each token follows from the one before it.
    func setLearnableBatch(seed: UInt64) {
        var random = TestRandom(seed &+ 2000)
        let starts = random.tokens(model.microBatch, below: configuration.vocabularySize)
        let steps = random.tokens(model.inputs.count, below: 3)
        var inputs: [Int32] = []
        var targets: [Int32] = []
        for start in starts {
            var token = start
            for _ in 0..<configuration.contextLength {
                inputs.append(token)
                token = (token * 5 + 1 + steps[inputs.count - 1]) % Int32(configuration.vocabularySize)
                targets.append(token)
            }
        }
        model.inputs.set(inputs)
        model.targets.set(targets)
    }

    /// The loss sum and the gradients, in `arena` too.
    func lossAndGradients(key: MicroBatchKey = MicroBatchKey()) throws -> (loss: Double, gradients: [Float]) {
        let loss = try model.lossAndGradients(into: arena, key: key) { _ in }
        return (loss, arena.array())
    }

    /// The same model in plain Double.
    var reference: ReferenceDecoder {
        ReferenceDecoder(configuration, model.layout, weights: model.weights.array().map(Double.init))
    }
}
