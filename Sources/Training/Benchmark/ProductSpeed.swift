import Collectives
import Kernels

/// How fast this machine multiplies matrices, with the memory that the measurement needs.
struct ProductSpeed {
    private let runs: [(flops: Double, body: () -> Void)]
    private let compute: Compute

    /// - Parameter shapes: rows × inner × columns of the products; by default those of GPT-2's own layers.
    init(
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
        self.compute = compute
        self.runs = try precision == .bf16 ? runs(BFloat16.self) : runs(Float.self)
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
func medianSeconds(repetitions: Int, _ body: () throws -> Void) rethrows -> Double {
    median(
        try (0..<repetitions).map { _ in
            let start = Timeline.now()
            try body()
            return Double(Timeline.now() - start) / 1e9
        })
}

/// The middle value; the mean of the two middle ones where their number is even, 0 where there is none.
package func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
