import Kernels
import TestSupport
import Transformer

/// The small model and batch whose numbers PyTorch computed (Tests/Reference/make_gpt2_goldens.py).
struct GPT2Fixture {
    let batch: Golden
    let model: any LanguageModel

    init(precision: Precision = .fp32, threads: Int = 1, training: Bool = true) throws {
        batch = try Golden("gpt2-tiny-batch.safetensors")
        let configuration = try DecoderConfiguration(
            vocabularySize: 97, contextLength: 23, embeddingSize: 30, layerCount: 2, headCount: 3)
        model = try makeLanguageModel(
            configuration, precision: precision, microBatch: 3, compute: Compute(threadCount: threads),
            training: training)
        let weights = try Golden("gpt2-tiny/model.safetensors")
        for parameter in model.layout.parameters {
            model.weights.set(try weights.floats(parameter.name), at: parameter.offset)
        }
        model.refreshOperands()
        model.inputs.set(try batch.tokens("inputs"))
        model.targets.set(try batch.tokens("targets"))
    }

    /// The loss sum and the gradient of every tensor by name.
    func lossAndGradients() throws -> (loss: Double, gradients: [String: [Float]]) {
        let arena = try Buffer<Float>(count: model.layout.count)
        let loss = try model.lossAndGradients(into: arena) { _ in }
        var gradients: [String: [Float]] = [:]
        for parameter in model.layout.parameters { gradients[parameter.name] = arena.array(parameter.range) }
        return (loss, gradients)
    }
}
