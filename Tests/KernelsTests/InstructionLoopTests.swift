import Kernels
import TestSupport
import Testing

/// What the loop adds is what it says that it adds.
@Suite struct InstructionLoopTests {
    @Test(arguments: [1, 2]) func sumsOfOnes(threads: Int) throws {
        let compute = try Compute(threadCount: threads)
        let sums = try Buffer<Float>(count: threads)
        InstructionLoop.run(compute.pool, rounds: 10, Float.self, into: sums)
        // Each of 16 sums has 16 lanes, to which ten times 1 · 1 is added.
        #expect(sums.array() == [Float](repeating: 16 * 16 * 10, count: threads))
        #expect(InstructionLoop.operations(rounds: 10, Float.self) == 2 * 16 * 16 * 10)
        guard Compute.hasFastBFloat16 else { return }
        InstructionLoop.run(compute.pool, rounds: 10, BFloat16.self, into: sums)
        #expect(sums.array() == [Float](repeating: 2 * 16 * 16 * 10, count: threads))
        #expect(InstructionLoop.operations(rounds: 10, BFloat16.self) == 4 * 16 * 16 * 10)
    }
}
