import Basics

/// How an optimizer step's global batch is cut into micro-batches and shared among ranks.
///
/// Step s (from 0) consumes the positions s·G ..< (s + 1)·G of the sample order at any number of ranks; global
/// micro-batch m of it is s·G + m·B ..< s·G + (m + 1)·B; rank r computes the micro-batches r·A ..< (r + 1)·A.
package struct BatchPlan: Sendable, Equatable {
    /// G: sequences in an optimizer step.
    package let globalBatch: Int
    /// B: sequences in a micro-batch.
    package let microBatch: Int
    /// N: ranks.
    package let worldSize: Int

    /// The sequences that G and B can be: each micro-batch's loss is a number in memory.
    package static let sizes = 1...1 << 24

    /// - Throws: exit code 64, with the nearest valid values, unless G is a multiple of B·N.
    package init(globalBatch: Int, microBatch: Int, worldSize: Int) throws(ExitError) {
        for (name, value) in [("--global-batch", globalBatch), ("--micro-batch", microBatch), ("ranks", worldSize)] {
            guard Self.sizes.contains(value) else {
                throw ExitError(.usage, "\(name) is \(value); it must be 1 to \(Self.sizes.upperBound)")
            }
        }
        let share = microBatch * worldSize
        guard globalBatch % share == 0 else {
            let below = globalBatch / share * share
            let nearest = below > 0 ? "\(below) or \(below + share)" : "\(share)"
            var advice = "--global-batch \(nearest)"
            if globalBatch % worldSize == 0 {
                let own = globalBatch / worldSize
                let fitting = (1...min(own, 2 * microBatch)).filter { own % $0 == 0 }
                let best = fitting.min { abs($0 - microBatch) < abs($1 - microBatch) }
                if let best { advice += ", or --micro-batch \(best)" }
            }
            throw ExitError(
                .usage,
                "--global-batch \(globalBatch) is not a multiple of --micro-batch \(microBatch) × "
                    + "\(worldSize) \(worldSize == 1 ? "rank" : "ranks") = \(share); nearest valid: \(advice)")
        }
        self.globalBatch = globalBatch
        self.microBatch = microBatch
        self.worldSize = worldSize
    }

    /// A: micro-batches that one rank computes in a step.
    package var accumulation: Int { globalBatch / (microBatch * worldSize) }
    /// Micro-batches of a step on all ranks: G / B.
    package var microBatchCount: Int { globalBatch / microBatch }

    /// The positions in the sample order of a global micro-batch (0 ..< microBatchCount) of a step (from 0).
    package func positions(step: Int, microBatch index: Int) -> Range<Int> {
        precondition(step >= 0 && (0..<microBatchCount).contains(index))
        let start = step * globalBatch + index * microBatch
        return start..<start + microBatch
    }

    /// The global micro-batches that a rank computes.
    package func microBatches(rank: Int) -> Range<Int> {
        precondition((0..<worldSize).contains(rank))
        return rank * accumulation..<(rank + 1) * accumulation
    }
}
