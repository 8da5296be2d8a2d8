import Basics
import Kernels
import Transformer

/// What `--precision auto` decides on, measured on this machine in a moment.
package struct PrecisionChoice {
    package let precision: Precision
    /// A line for the log.
    package let reason: String

    /// Takes bf16 where it is faster by more than a tenth, which is what two measurements may differ by.
    /// - Parameters: the times of one product.
    package init(fp32 full: Double, bf16 half: Double) {
        precision = half < full * 0.9 ? .bf16 : .fp32
        reason =
            "precision \(precision.rawValue): bf16 matmuls run at \(fixed(full / half, 2)) × the speed of fp32 here"
    }

    private init(_ precision: Precision, reason: String) {
        self.precision = precision
        self.reason = reason
    }

    /// Measures one of the model's products in both precisions.
    package static func measure(_ compute: Compute, width: Int) throws -> PrecisionChoice {
        guard Compute.hasFastBFloat16 else {
            return PrecisionChoice(.fp32, reason: "precision fp32: this CPU has no bf16 instructions")
        }
        let width = min(1024, max(64, width))
        return PrecisionChoice(
            fp32: try time(compute, width, Float.self), bf16: try time(compute, width, BFloat16.self))
    }

    /// The best of several runs, in nanoseconds.
    private static func time<E: ActivationElement>(_ compute: Compute, _ width: Int, _ type: E.Type) throws -> Double {
        let rows = 256
        let product = try Matmul(
            Workspace(compute), .plain, rows: rows, inner: width, columns: 4 * width, input: E.precision,
            output: E.precision)
        let a = try Buffer<E>(count: rows * width)
        let b = try Buffer<E>(count: width * 4 * width)
        let c = try Buffer<E>(count: rows * 4 * width)
        var best = Double.infinity
        for _ in 0..<5 {
            let start = Timeline.now()
            product.run(a.all, b.all, into: c.all)
            best = min(best, Double(Timeline.now() - start))
        }
        try compute.requireSuccess()
        return best
    }
}
