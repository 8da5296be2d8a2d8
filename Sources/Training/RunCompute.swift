import Basics
import Collectives
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

/// How a run computes here: threads, precisions, and the memory that this takes. The second part of a run's setup, and of
/// a plan's.
struct RunCompute {
    /// With every `auto` decided.
    let configuration: TrainingConfiguration
    let threadPlan: ThreadPlan
    let compute: Compute
    let precision: Precision
    /// Rank 0's: what it writes of the model's own text, where that is asked for.
    let sampleWriter: SampleWriter?
    private let shape: DecoderConfiguration

    /// All ranks decide together.
    /// - Parameter ranksOnHost: how many ranks of the run share this host.
    init(
        _ inputs: RunInputs, ranksOnHost: Int, communicator: any Communicator, reporter: any Reporter
    ) throws {
        var configuration = inputs.configuration
        shape = inputs.source.shape
        let threadPlan = try communicator.agreeing {
            try ThreadPlan(requested: configuration.threads, ranksOnHost: ranksOnHost)
        }
        configuration.threads = threadPlan.threads
        let compute = try communicator.agreeing { try Compute(threadCount: threadPlan.threads) }
        // At a resume the precision is what the run began with.
        if configuration.precision == nil {
            let width = shape.embeddingSize
            let isHalf = try communicator.fromRankZero {
                let (precision, reason) = try Precision.choice(compute, width: width)
                reporter.line(reason)
                return precision == .bf16 ? [1] : []
            }
            configuration.precision = isHalf.isEmpty ? .fp32 : .bf16
        }
        let precision = configuration.precision ?? .fp32
        try communicator.agreeing { try precision.requireInstructions() }
        try configuration.decideMuonPrecision(on: communicator)
        let decided = configuration
        sampleWriter = try communicator.agreeing {
            communicator.rank == 0 ? try SampleWriter(decided, inputs.source) : nil
        }
        (self.configuration, self.threadPlan, self.compute) = (configuration, threadPlan, compute)
        self.precision = precision
    }

    /// Makes the parts for a cut of the step, with memory that counts or reserves. Only the latter needs the other ranks.
    func makeParts(_ batch: BatchPlan, on communicator: any Communicator, _ memory: Memory) throws -> RunParts {
        try RunParts(
            configuration, shape, precision, batch, compute: compute, communicator: communicator, memory: memory,
            sampleWriter: sampleWriter)
    }

    /// What the parts of each of `ranks` ranks of this host will reserve.
    func plan(
        _ batch: BatchPlan, ranks: Int, machine: Machine = Machine(), on communicator: any Communicator
    ) throws -> MemoryPlan {
        try MemoryPlan(judging: ranks, machine: machine, largest: batch.largestMicroBatch) {
            _ = try makeParts(batch.with(microBatch: $0), on: communicator, $1)
        }
    }
}

extension BatchPlan {
    /// The same batch in micro-batches of another size, which must divide it; nil keeps the size.
    fileprivate func with(microBatch: Int?) throws(ExitError) -> BatchPlan {
        try BatchPlan(globalBatch: globalBatch, microBatch: microBatch ?? self.microBatch, worldSize: worldSize)
    }

    /// The largest size of micro-batches below this one that divides the batch and fits.
    fileprivate func largestMicroBatch(_ fits: (Int) throws -> Bool) rethrows -> Int? {
        let share = globalBatch / worldSize
        let roots = (1...max(1, Int(Double(share).squareRoot()))).filter { share % $0 == 0 }
        let sizes = roots.map { share / $0 } + roots.reversed()
        return try sizes.first { try $0 < microBatch && fits($0) }
    }
}
