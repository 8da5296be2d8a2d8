import Collectives
import DataParallel
import Kernels

/// What this machine can do at best, measured: the floors under a step's parts.
package struct MachineCeilings: Codable, Sendable {
    /// Matmul GFLOP/s of one rank while the others wait.
    package var matmulAlone: [String: Double] = [:]
    /// Matmul GFLOP/s of one rank while all ranks work: the lowest of them.
    package var matmulTogether: [String: Double] = [:]
    /// GFLOP/s of the multiplying instruction from registers alone, of one rank while all work: the lowest of them.
    package var instructionTogether: [String: Double] = [:]
    /// Bytes read and written a second by one rank in one long pass, in GB/s, while all ranks work.
    package var memoryGigabytes = 0.0
    /// Bytes of gradients summed a second over ranks, in GB/s; nil at one rank.
    package var reductionGigabytes: Double?

    /// Nothing measured.
    package init() {}

    /// Measures on all ranks together; every rank gets the same figures. What `known` has of a precision was measured between
    /// steps.
    static func measure(
        _ compute: Compute, mode: ReductionMode, known: (precision: Precision, matmul: Double, instruction: Double),
        on communicator: any Communicator
    ) throws -> MachineCeilings {
        var ceilings = MachineCeilings()
        for precision in Precision.allCases where precision == .fp32 || Compute.hasFastBFloat16 {
            let products = try ProductSpeed(compute, precision)
            _ = try products.gigaflops(repetitions: 3)
            let alone = communicator.rank == 0 ? try products.gigaflops(repetitions: 20) : 0
            try communicator.barrier()
            ceilings.matmulAlone[precision.rawValue] = try communicator.allReduce(alone, .maximum)
            let isKnown = precision == known.precision
            ceilings.matmulTogether[precision.rawValue] =
                try isKnown ? known.matmul : products.gigaflopsTogether(repetitions: 20, on: communicator)
            ceilings.instructionTogether[precision.rawValue] =
                try isKnown ? known.instruction : products.instructionTogether(on: communicator)
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
    package static func memory(_ compute: Compute, clock: () -> UInt64 = Timeline.now) throws -> Double {
        let count = 16 << 20
        let source = try Buffer<Float>(count: count)
        let target = try Buffer<Float>(count: count)
        Vector.round(compute.pool, source.all, into: target.all)
        let seconds = medianSeconds(repetitions: 7, clock: clock) {
            Vector.round(compute.pool, source.all, into: target.all)
        }
        return Double(2 * 4 * count) / seconds / 1e9
    }

    package static func reduction(
        _ mode: ReductionMode, _ communicator: any Communicator, clock: () -> UInt64 = Timeline.now
    ) throws -> Double {
        let count = 4 << 20
        let gradients = try Buffer<Float>(count: count)
        let reducer = try GradientReducer(
            communicator: communicator, gradients: gradients, mode: mode, microBatchesPerRank: 1)
        let times = try (0..<7).map { _ in
            try communicator.barrier()
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            return try medianSeconds(repetitions: 1, clock: clock) {
                try reducer.completed(0..<count)
                try reducer.endMicroBatch()
            }
        }
        return Double(4 * count) / median(times) / 1e9
    }
}

/// How fast this machine multiplies matrices, with the memory that the measurement needs.
package struct ProductSpeed {
    private let runs: [(flops: Double, body: () -> Void)]
    private let compute: Compute
    private let instruction: (operations: Double, body: () -> Void)

    /// - Parameter shapes: rows × inner × columns of the products; by default those of GPT-2's own layers.
    package init(
        _ compute: Compute, _ precision: Precision,
        shapes: [(Int, Int, Int)] = [(1024, 768, 768), (1024, 768, 3072), (1024, 3072, 768)]
    ) throws {
        func runs<E: ActivationElement>(_ type: E.Type) throws -> [(flops: Double, body: () -> Void)] {
            let workspace = try Workspace(compute)
            return try shapes.map { rows, inner, columns in
                let product = try Matmul(
                    workspace, .plain, rows: rows, inner: inner, columns: columns, input: precision, output: precision)
                let a = try Buffer<E>(count: rows * inner)
                let b = try Buffer<E>(count: inner * columns)
                let c = try Buffer<E>(count: rows * columns)
                return (2 * Double(rows) * Double(inner) * Double(columns), { product.run(a.all, b.all, into: c.all) })
            }
        }
        func loop<E: ActivationElement>(_ type: E.Type) throws -> (Double, () -> Void) {
            // About a tenth of a millisecond.
            let rounds = 16_384
            let sums = try Buffer<Float>(count: compute.pool.threadCount)
            return (
                InstructionLoop.operations(rounds: rounds, type) * Double(compute.pool.threadCount),
                { InstructionLoop.run(compute.pool, rounds: rounds, type, into: sums) }
            )
        }
        instruction = try precision == .bf16 ? loop(BFloat16.self) : loop(Float.self)
        self.compute = compute
        self.runs = try precision == .bf16 ? runs(BFloat16.self) : runs(Float.self)
    }

    /// The best shape's GFLOP/s, each the median of several runs.
    package func gigaflops(repetitions: Int, clock: () -> UInt64 = Timeline.now) throws -> Double {
        let speeds = runs.map { $0.flops / medianSeconds(repetitions: repetitions, clock: clock, $0.body) / 1e9 }
        try compute.requireSuccess()
        return speeds.max() ?? 0
    }

    /// GFLOP/s of the instruction that products are made of, from registers alone.
    package func instructionGigaflops(repetitions: Int, clock: () -> UInt64 = Timeline.now) -> Double {
        instruction.operations / medianSeconds(repetitions: repetitions, clock: clock, instruction.body) / 1e9
    }

    /// The same while all ranks work; the slowest rank's counts.
    func instructionTogether(on communicator: any Communicator) throws -> Double {
        try communicator.barrier()
        return try communicator.allReduce(instructionGigaflops(repetitions: 25), .minimum)
    }

    /// The best shape's GFLOP/s while all ranks work; the slowest rank's count.
    func gigaflopsTogether(repetitions: Int, on communicator: any Communicator) throws -> Double {
        try communicator.barrier()
        return try communicator.allReduce(try gigaflops(repetitions: repetitions), .minimum)
    }
}

/// The median of several runs of `body`, in seconds.
func medianSeconds(
    repetitions: Int, clock: () -> UInt64 = Timeline.now, _ body: () throws -> Void
) rethrows -> Double {
    median(
        try (0..<repetitions).map { _ in
            let start = clock()
            try body()
            return Double(clock() - start) / 1e9
        })
}

/// The middle value; the mean of the two middle ones where their number is even, 0 where there is none.
package func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
