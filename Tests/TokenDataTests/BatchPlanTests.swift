import Basics
import Testing
import TokenData

/// Batches: which rank computes what, and that ranks together visit each sequence of an epoch once.
@Suite struct BatchPlanTests {
    @Test func partsOfAStep() throws {
        let plan = try BatchPlan(globalBatch: 24, microBatch: 2, worldSize: 3)
        #expect(plan.accumulation == 4)
        #expect(plan.microBatchCount == 12)
        #expect(plan.microBatches(rank: 0) == 0..<4)
        #expect(plan.microBatches(rank: 2) == 8..<12)
        #expect(plan.positions(step: 0, microBatch: 0) == 0..<2)
        #expect(plan.positions(step: 5, microBatch: 11) == 142..<144)
    }

    /// The sequences of a whole epoch, rank by rank.
    private func visited(_ worldSize: Int, _ globalBatch: Int, _ microBatch: Int, _ order: SampleOrder) throws
        -> [[Int]]
    {
        let plan = try BatchPlan(globalBatch: globalBatch, microBatch: microBatch, worldSize: worldSize)
        return (0..<worldSize).map { rank in
            (0..<order.sequenceCount / globalBatch).flatMap { step in
                plan.microBatches(rank: rank).flatMap { plan.positions(step: step, microBatch: $0) }
            }.map { order.sequence(at: $0).index }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 8], [true, false])
    func ranksVisitEachSequenceOfAnEpochOnce(worldSize: Int, shuffle: Bool) throws {
        for (globalBatch, microBatch) in [(24, 1), (48, 2), (worldSize * 5, 5)] {
            let count = globalBatch * 7
            let order = SampleOrder(seed: 11, sequenceCount: count, shuffle: shuffle)
            let ranks = try visited(worldSize, globalBatch, microBatch, order)
            #expect(ranks.allSatisfy { $0.count == count / worldSize })
            #expect(ranks.joined().sorted() == Array(0..<count), "each sequence once, on one rank")
        }
    }

    /// A step's sequences are the same, micro-batch by micro-batch, at any number of ranks.
    @Test func stepsDoNotDependOnTheNumberOfRanks() throws {
        func microBatches(_ worldSize: Int) throws -> [Range<Int>] {
            let plan = try BatchPlan(globalBatch: 48, microBatch: 2, worldSize: worldSize)
            return (0..<3).flatMap { step in
                (0..<worldSize).flatMap { rank in
                    plan.microBatches(rank: rank).map { plan.positions(step: step, microBatch: $0) }
                }
            }
        }
        let single = try microBatches(1)
        #expect(single.first == 0..<2 && single.last == 142..<144)
        for worldSize in [2, 3, 4, 8] { #expect(try microBatches(worldSize) == single) }
    }

    @Test(arguments: [
        (20, 8, 2, "--global-batch 16 or 32, or --micro-batch 10"), (10, 8, 2, "--global-batch 16, or --micro-batch 5"),
        (7, 4, 2, "--global-batch 8"), (100, 7, 1, "--global-batch 98 or 105, or --micro-batch 5"),
    ])
    func batchesThatDoNotDivideNameTheNearest(global: Int, micro: Int, world: Int, advice: String) throws {
        let error = #expect(throws: ExitError.self) {
            try BatchPlan(globalBatch: global, microBatch: micro, worldSize: world)
        }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasSuffix("nearest valid: \(advice)") == true, "\(String(describing: error))")
    }

    @Test func theLargestBatch() throws {
        #expect(try BatchPlan(globalBatch: 1 << 24, microBatch: 1 << 24, worldSize: 1).accumulation == 1)
    }

    @Test(arguments: [
        (0, 1, 1), (8, 0, 1), (8, -2, 2), (8, 2, 0), (1 << 40, 1, 1), (8, Int.max, 4), ((1 << 24) + 1, 1, 1),
    ])
    func valuesOutOfRangeAreErrors(global: Int, micro: Int, world: Int) {
        let error = #expect(throws: ExitError.self) {
            try BatchPlan(globalBatch: global, microBatch: micro, worldSize: world)
        }
        #expect(error?.exitCode == 64)
    }
}
