import Kernels
import Testing
import Training

/// `--precision auto`: what a measurement decides, apart from the measurement.
@Suite struct PrecisionChoiceTests {
    @Test(
        "M: auto takes the faster precision, and fp32 where bf16 gains less than a tenth",
        arguments: [
            (100.0, 50.0, Precision.bf16, "2.00"), (100, 89, .bf16, "1.12"), (100, 91, .fp32, "1.10"),
            (100, 100, .fp32, "1.00"), (50, 100, .fp32, "0.50"),
        ])
    func theFasterOne(full: Double, half: Double, expected: Precision, ratio: String) {
        let choice = Precision.choice(fp32: full, bf16: half)
        #expect(choice.precision == expected)
        #expect(
            choice.reason
                == "precision \(expected.rawValue): bf16 matmuls run at \(ratio) × the speed of fp32 here")
    }

    @Test func aMeasurementSaysWhatItFound() throws {
        let choice = try Precision.choice(Compute(threadCount: 1), width: 64)
        #expect(choice.reason.hasPrefix("precision \(choice.precision.rawValue): "))
        #expect(choice.reason.contains("no bf16 instructions") == !Compute.hasFastBFloat16)
    }
}
