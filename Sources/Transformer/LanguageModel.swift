import Kernels

/// What `Trainer` needs of a model: weights in one arena, losses, and gradients in one arena.
///
/// A model is planned for one micro-batch shape; a step then allocates nothing.
package protocol LanguageModel: AnyObject {
    /// The model's shape.
    var configuration: DecoderConfiguration { get }
    /// Where each tensor lies in `weights` and in a gradient arena.
    var layout: ParameterLayout { get }
    /// How activations and matmul operands are stored.
    var precision: Precision { get }
    /// Sequences of a micro-batch.
    var microBatch: Int { get }
    /// The master weights, fp32.
    var weights: Buffer<Float> { get }
    /// The bf16 copy of the weights that matmuls read; nil in fp32, and where they round the weights themselves.
    var operandCopy: Buffer<BFloat16>? { get }
    /// The micro-batch's tokens [B, T], filled by the caller before a call.
    var inputs: Buffer<Int32> { get }
    /// The tokens to predict [B, T].
    var targets: Buffer<Int32> { get }
    /// Records what a step does when, if set.
    var timeline: Timeline? { get set }
    /// Sees every activation and gradient, if set; for `--debug`.
    var observer: TensorObserver? { get set }

    /// Brings the matmul copy up to date after the weights changed by other means than the optimizer's own pass.
    func refreshOperands()

    /// The sum of the token losses of the micro-batch (nats), and its gradient in `gradients`, overwritten.
    ///
    /// `completed` is called with each range of `gradients` that will not change any more, from the end to the start,
    /// without gaps.
    /// - Parameter key: which micro-batch this is, for dropout, and the length of its sequences, one of those that were
    ///   planned.
    func lossAndGradients(
        into gradients: Buffer<Float>, key: MicroBatchKey, completed: (Range<Int>) throws -> Void
    ) throws -> Double

    /// The sum of the token losses of the first `sequences` sequences, without gradients.
    func loss(sequences: Int) throws -> Double

    /// The sum of the token losses of one sequence of the micro-batch, from 0, as the newest pass left them.
    func sequenceLoss(_ index: Int) -> Double
}

extension LanguageModel {
    /// The same of a micro-batch without a past, for models without dropout.
    package func lossAndGradients(
        into gradients: Buffer<Float>, completed: (Range<Int>) throws -> Void
    ) throws -> Double {
        try lossAndGradients(into: gradients, key: MicroBatchKey(), completed: completed)
    }
}

/// Sees the tensors of a step in the order in which they are computed: which module's, and what of it, `activation`,
/// `loss` or `gradient`.
package typealias TensorObserver = (_ layer: String, _ tensor: String, TensorStatistics) throws -> Void

/// Makes a model of this precision, planned for micro-batches of `microBatch` sequences of the context length; with
/// `recomputes`, one that keeps the start of each block alone and computes the rest again for the backward pass. A pass
/// with gradients may cut the sequences into pieces of one of the `pieceLengths`, which divide the context.
/// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
package func makeLanguageModel(
    _ configuration: DecoderConfiguration, precision: Precision, microBatch: Int, compute: Compute,
    training: Bool = true, recomputes: Bool = false, dropout: DropoutRates = DropoutRates(), pieceLengths: [Int] = [],
    memory: Memory = Memory()
) throws(KernelError) -> any LanguageModel {
    switch precision {
    case .fp32:
        try Decoder<Float>(
            configuration, microBatch: microBatch, compute: compute, training: training,
            recomputes: recomputes, dropout: dropout, pieceLengths: pieceLengths, memory: memory)
    case .bf16:
        try Decoder<BFloat16>(
            configuration, microBatch: microBatch, compute: compute, training: training,
            recomputes: recomputes, dropout: dropout, pieceLengths: pieceLengths, memory: memory)
    }
}
