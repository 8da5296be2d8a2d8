import Collectives
import TestSupport
import Testing

struct PipelinedAllReduceTests {
    @Test(arguments: [1, 2, 3, 4, 6, 8, 12, 16], [1, 2, 7, 1003])
    func `The sum is the canonical tree bit for bit on every rank`(worldSize: Int, count: Int) throws {
        let expected = CanonicalTree.sum(
            (0..<worldSize).map { CanonicalTree.values(count: count, seed: UInt64($0)) })
        for (bucket, interval) in [(1, 1), (7, 3), (100, 1), (5000, 1), (3, 1000)] {
            let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
                try CollectiveChecks.pipelinedSum(
                    count: count, bucket: bucket, interval: interval, on: communicator)
            }
            for result in results {
                #expect(
                    result.map(\.bitPattern) == expected.map(\.bitPattern),
                    "buckets of \(bucket), \(interval) between rounds")
            }
        }
    }

    @Test(arguments: [2, 3, 4, 6, 8])
    func `No more moves than in a bandwidth-optimal allreduce`(worldSize: Int) throws {
        let count = worldSize * 100
        let sent = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let counting = CountingCommunicator(communicator)
            _ = try CollectiveChecks.pipelinedSum(count: count, bucket: count, interval: 1, on: counting)
            return counting.elementsSent
        }
        #expect(sent == Array(repeating: 2 * count * (worldSize - 1) / worldSize, count: worldSize))
    }

    /// A rank that is one interval late holds nobody up: the other's call returns without it.
    @Test(.timeLimit(.minutes(1)))
    func `A call needs only what the peer started at its last one`() throws {
        let sums = try ThreadWorld.run(worldSize: 2) { communicator in
            let memory = FixedFloats([1, 2, 3, 4])
            let pipeline = ExactAllReduce(memory, maximumCount: 4, on: communicator)
            try pipeline.start(0..<4)
            // Each rank in turn makes its call before the other one does.
            for round in 0..<4 {
                if communicator.rank == round % 2 { try pipeline.advance() }
                try communicator.barrier()
                if communicator.rank != round % 2 { try pipeline.advance() }
                try communicator.barrier()
            }
            return memory.values
        }
        #expect(sums == [[2, 4, 6, 8], [2, 4, 6, 8]])
    }

    /// Two buckets of the largest size (8 MiB) for each doubling, more of smaller ones, and at most 16.
    @Test(arguments: [
        (2, 2 << 20, 2), (2, 1 << 20, 2), (2, 1 << 18, 8), (2, 1, 16), (2, 0, 16), (4, 2 << 20, 4), (4, 1 << 19, 8),
        (8, 2 << 20, 6), (64, 2 << 20, 12), (1 << 20, 1, 16), (3, 1, 1), (6, 2 << 20, 2),
    ])
    func `A few MiB can be under way for each doubling`(worldSize: Int, count: Int, expected: Int) {
        #expect(ExactAllReduce.capacity(worldSize: worldSize, count: count) == expected)
    }

    @Test func `A failing rank ends the others' sums`() {
        struct Broken: Error {}
        let outcomes = ThreadWorld.outcomes(worldSize: 2) { communicator in
            let memory = FixedFloats([1, 2, 3, 4])
            let pipeline = ExactAllReduce(memory, maximumCount: 4, on: communicator)
            if communicator.rank == 1 { throw Broken() }
            try pipeline.start(0..<4)
            try pipeline.finish()
        }
        for outcome in outcomes { #expect(throws: (any Error).self) { try outcome.get() } }
    }
}
