import Collectives
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

/// The parts of a run that hold its memory. Made twice: for `MemoryPlan` with a memory that counts, and for the run.
struct RunParts {
    let optimizer: AdamW
    let gradients: Buffer<Float>
    let reducer: GradientReducer
    /// The loss of each micro-batch of a step.
    let losses: OrderedSum
    let squareSums: Buffer<Double>
    let model: any LanguageModel

    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    init(
        _ configuration: TrainingConfiguration, _ shape: GPTConfiguration, _ precision: Precision, _ batch: BatchPlan,
        compute: Compute, communicator: any Communicator, memory: Memory
    ) throws {
        let layout = ParameterLayout(shape)
        optimizer = try AdamW(
            AdamW.Hyperparameters(
                weightDecay: configuration.weightDecay, beta1: configuration.beta1, beta2: configuration.beta2,
                epsilon: configuration.epsilon),
            ranges: layout.decayRanges, memory: memory)
        gradients = try memory.buffer(.gradients, layout.count)
        squareSums = try Vector.squareSums(count: layout.count, memory: memory)
        losses = try OrderedSum(count: batch.microBatchCount, memory: memory)
        reducer = try GradientReducer(
            communicator: communicator, gradients: gradients,
            bucketElements: configuration.bucketBytes.map { max(1, $0 / MemoryLayout<Float>.stride) },
            mode: configuration.reduction, microBatchesPerRank: batch.accumulation, overlap: configuration.overlap,
            memory: memory)
        // Last, because it asks oneDNN, after a look at what there is so far.
        model = try makeLanguageModel(
            shape, precision: precision, microBatch: batch.microBatch, compute: compute, memory: memory)
    }
}
