import Basics
import Kernels

/// What `--precision auto` decides on, measured on this machine in a moment.
package struct PrecisionChoice {
    package let precision: Precision
    /// A line for the log.
    package let reason: String
}

extension PrecisionChoice {
    /// Takes bf16 where it is faster by more than a tenth, which is what two measurements may differ by.
    /// - Parameters: the times of one product.
    package init(fp32 full: Double, bf16 half: Double) {
        let precision = half < full * 0.9 ? Precision.bf16 : .fp32
        self.init(
            precision: precision,
            reason:
                "precision \(precision.rawValue): bf16 matmuls run at \(fixed(full / half, 2)) × the speed of fp32 here"
        )
    }

    /// Measures one of the model's products in both precisions.
    package init(_ compute: Compute, width: Int) throws {
        guard Compute.hasFastBFloat16 else {
            self.init(precision: .fp32, reason: "precision fp32: this CPU has no bf16 instructions")
            return
        }
        let width = min(1024, max(64, width))
        func time(_ precision: Precision) throws -> Double {
            1 / (try ProductSpeed(compute, precision, shapes: [(256, width, 4 * width)]).gigaflops(repetitions: 5))
        }
        self.init(fp32: try time(.fp32), bf16: try time(.bf16))
    }
}

extension Precision {
    /// - Throws: `ExitError` (64) where this CPU would have to compute it bit by bit.
    func requireInstructions() throws(ExitError) {
        guard self == .fp32 || Compute.hasFastBFloat16 else {
            throw .usage(
                "--precision bf16 needs a CPU with bf16 instructions (AVX512_BF16), and this one has none; "
                    + "use --precision fp32, which is hundreds of times faster here")
        }
    }
}
