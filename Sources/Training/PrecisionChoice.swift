import Basics
import Kernels

extension Precision {
    /// What `--precision auto` takes, and a line for the log: bf16 where it is faster by more than a tenth, which is
    /// what two measurements may differ by.
    /// - Parameters: the times of one product.
    package static func choice(fp32 full: Double, bf16 half: Double) -> (precision: Precision, reason: String) {
        let precision = half < full * 0.9 ? Precision.bf16 : .fp32
        let ratio = fixed(full / half, 2)
        return (precision, "precision \(precision.rawValue): bf16 matmuls run at \(ratio) × the speed of fp32 here")
    }

    /// The same for one of the model's products, measured on this machine in a moment.
    package static func choice(_ compute: Compute, width: Int) throws -> (precision: Precision, reason: String) {
        guard Compute.hasFastBFloat16 else { return (.fp32, "precision fp32: this CPU has no bf16 instructions") }
        let width = min(1024, max(64, width))
        func time(_ precision: Precision) throws -> Double {
            1 / (try ProductSpeed(compute, precision, shapes: [(256, width, 4 * width)]).gigaflops(repetitions: 5))
        }
        return choice(fp32: try time(.fp32), bf16: try time(.bf16))
    }

    /// - Throws: `ExitError` (64) where this CPU would have to compute it bit by bit.
    func requireInstructions(option: String = "precision") throws(ExitError) {
        guard self == .fp32 || Compute.hasFastBFloat16 else {
            throw .usage(
                "--\(option) bf16 needs a CPU with bf16 instructions (AVX512_BF16), and this one has none; "
                    + "use --\(option) fp32, which is hundreds of times faster here")
        }
    }
}
