import Collectives
import DataParallel
import Kernels

/// What this machine can do at best, measured: the floors under a step's parts.
package struct MachineCeilings: Codable, Sendable {
    /// Matmul GFLOP/s of one rank while the others wait.
    package var matmulAlone: [String: Double] = [:]
    /// Matmul GFLOP/s of one rank while all ranks work: the lowest of them.
    package var matmulTogether: [String: Double] = [:]
    /// Bytes read and written a second by one rank in one long pass, in GB/s, while all ranks work.
    package var memoryGigabytes = 0.0
    /// Bytes of gradients summed a second over ranks, in GB/s; nil at one rank.
    package var reductionGigabytes: Double?

    /// Nothing measured.
    package init() {}

    /// Measures on all ranks together; every rank gets the same figures. `known` were measured between steps.
    static func measure(
        _ compute: Compute, mode: ReductionMode, known: [Precision: Double], on communicator: any Communicator
    ) throws -> MachineCeilings {
        var ceilings = MachineCeilings()
        for precision in Precision.allCases where precision == .fp32 || Compute.hasFastBFloat16 {
            let products = try ProductSpeed(compute, precision)
            _ = try products.gigaflops(repetitions: 3)
            let alone = communicator.rank == 0 ? try products.gigaflops(repetitions: 20) : 0
            try communicator.barrier()
            ceilings.matmulAlone[precision.rawValue] = try communicator.allReduce(alone, .maximum)
            ceilings.matmulTogether[precision.rawValue] =
                try known[precision] ?? products.gigaflopsTogether(repetitions: 20, on: communicator)
        }
        try communicator.barrier()
        ceilings.memoryGigabytes = try communicator.allReduce(try memory(compute), .minimum)
        if communicator.worldSize > 1 {
            let speed = try reduction(mode, communicator)
            ceilings.reductionGigabytes = try communicator.allReduce(speed, .minimum)
        }
        return ceilings
    }

    /// One pass that reads two arenas and writes one, as the element-wise parts of a step do.
    private static func memory(_ compute: Compute) throws -> Double {
        let count = 16 << 20
        let source = try Buffer<Float>(count: count)
        let target = try Buffer<Float>(count: count)
        Vector.round(compute.pool, source.all, into: target.all)
        let seconds = medianSeconds(repetitions: 7) { Vector.round(compute.pool, source.all, into: target.all) }
        return Double(2 * 4 * count) / seconds / 1e9
    }

    private static func reduction(_ mode: ReductionMode, _ communicator: any Communicator) throws -> Double {
        let count = 4 << 20
        let gradients = try Buffer<Float>(count: count)
        let reducer = try GradientReducer(
            communicator: communicator, gradients: gradients, mode: mode, microBatchesPerRank: 1)
        let times = try (0..<7).map { _ in
            try communicator.barrier()
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            return try medianSeconds(repetitions: 1) {
                try reducer.completed(0..<count)
                try reducer.endMicroBatch()
            }
        }
        return Double(4 * count) / median(times) / 1e9
    }
}
