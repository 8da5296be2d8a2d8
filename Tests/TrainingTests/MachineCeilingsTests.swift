import Collectives
import Kernels
import TestSupport
import Testing
import Training

/// M: the ceilings of `swiftlet bench`, with a clock that goes on by half a second at every look.
@Suite struct MachineCeilingsTests {
    private static func halfSeconds() -> () -> UInt64 {
        var now: UInt64 = 0
        return {
            now += 500_000_000
            return now
        }
    }

    /// The second product is the larger one: 2 · 2 · 3 · 5 operations, then 2 · 8 · 4 · 6.
    @Test func matmul() throws {
        let products = try ProductSpeed(Compute(threadCount: 1), .fp32, shapes: [(2, 3, 5), (8, 4, 6), (4, 4, 4)])
        #expect(try products.gigaflops(repetitions: 3, clock: Self.halfSeconds()) == 384 / 0.5 / 1e9)
    }

    /// 16,384 rounds of sixteen vectors of sixteen lanes, a multiplication and an addition each; of two words' halves in bf16.
    @Test(arguments: [1, 2]) func instruction(threads: Int) throws {
        for (precision, operations) in [(Precision.fp32, 2.0), (.bf16, 4)]
        where precision == .fp32 || Compute.hasFastBFloat16 {
            let products = try ProductSpeed(Compute(threadCount: threads), precision, shapes: [(2, 3, 5)])
            let speed = products.instructionGigaflops(repetitions: 3, clock: Self.halfSeconds())
            #expect(speed == Double(threads) * 16_384 * 256 * operations / 0.5 / 1e9)
        }
    }

    /// 4 bytes in and 4 bytes out for each of 16 Mi numbers.
    @Test func memory() throws {
        let speed = try MachineCeilings.memory(Compute(threadCount: 1), clock: Self.halfSeconds())
        #expect(speed == Double(8 << 24) / 0.5 / 1e9)
    }

    /// 4 Mi gradients of 4 bytes.
    @Test func reduction() throws {
        let speeds = try ThreadWorld.run(worldSize: 2) { communicator in
            try MachineCeilings.reduction(.exact, communicator, clock: Self.halfSeconds())
        }
        #expect(speeds == [Double(4 << 22) / 0.5 / 1e9, Double(4 << 22) / 0.5 / 1e9])
    }
}
