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
            let products = try MatmulCeiling(compute, precision)
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
        var times: [Double] = []
        for _ in 0..<7 {
            try communicator.barrier()
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            let start = Timeline.now()
            try reducer.completed(0..<count)
            try reducer.endMicroBatch()
            times.append(Double(Timeline.now() - start) / 1e9)
        }
        return Double(4 * count) / median(times) / 1e9
    }
}

/// The products that the matmul ceiling is measured on, those of GPT-2's own layers, with their memory.
struct MatmulCeiling {
    /// rows × inner × columns.
    private static let shapes = [(1024, 768, 768), (1024, 768, 3072), (1024, 3072, 768)]

    private let runs: [(flops: Double, body: () -> Void)]
    private let compute: Compute

    init(_ compute: Compute, _ precision: Precision) throws {
        self.compute = compute
        runs = try precision == .bf16 ? Self.runs(compute, BFloat16.self) : Self.runs(compute, Float.self)
    }

    private static func runs<E: ActivationElement>(
        _ compute: Compute, _ type: E.Type
    ) throws -> [(flops: Double, body: () -> Void)] {
        let workspace = try Workspace(compute)
        return try shapes.map { rows, inner, columns in
            let product = try Matmul(
                workspace, .plain, rows: rows, inner: inner, columns: columns, input: E.precision, output: E.precision)
            let a = try Buffer<E>(count: rows * inner)
            let b = try Buffer<E>(count: inner * columns)
            let c = try Buffer<E>(count: rows * columns)
            return (2 * Double(rows) * Double(inner) * Double(columns), { product.run(a.all, b.all, into: c.all) })
        }
    }

    /// The best shape's GFLOP/s, each the median of several runs.
    func gigaflops(repetitions: Int) throws -> Double {
        let best = runs.map { $0.flops / medianSeconds(repetitions: repetitions, $0.body) / 1e9 }.max() ?? 0
        try compute.requireSuccess()
        return best
    }

    /// The same while all ranks work; the slowest rank's counts.
    func gigaflopsTogether(repetitions: Int, on communicator: any Communicator) throws -> Double {
        try communicator.barrier()
        return try communicator.allReduce(try gigaflops(repetitions: repetitions), .minimum)
    }
}

/// The median of several runs of `body`, in seconds.
private func medianSeconds(repetitions: Int, _ body: () -> Void) -> Double {
    let times = (0..<repetitions).map { _ in
        let start = Timeline.now()
        body()
        return Double(Timeline.now() - start) / 1e9
    }
    return median(times)
}
