import Basics
import Collectives
import TestSupport
import Testing

struct ExactAllReduceTests {
    @Test(arguments: 1...8, [0, 1, 2, 3, 7, 17, 100_003])
    func `The sum is the canonical tree bit for bit on every rank`(worldSize: Int, count: Int) throws {
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            try CollectiveChecks.exactSum(count: count, on: communicator).map(\.bitPattern)
        }
        let expected = CanonicalTree.sum(
            (0..<worldSize).map { CanonicalTree.values(count: count, seed: UInt64($0)) }
        ).map(\.bitPattern)
        for result in results { #expect(result == expected) }
    }

    @Test(arguments: [12, 16, 24])
    func `Larger worlds, pairs and odd groups mixed`(worldSize: Int) throws {
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            try CollectiveChecks.exactSum(count: 1001, on: communicator)
        }
        let expected = CanonicalTree.sum(
            (0..<worldSize).map { CanonicalTree.values(count: 1001, seed: UInt64($0)) })
        for result in results { #expect(result == expected) }
    }

    /// Without this the tests above could pass with any order of additions.
    @Test func `The test values tell orders of additions apart`() {
        let vectors = (0..<4).map { CanonicalTree.values(count: 1000, seed: UInt64($0)) }
        let fromLeft = vectors.dropFirst().reduce(vectors[0]) { zip($0, $1).map { $0 + $1 } }
        #expect(CanonicalTree.sum(vectors) != fromLeft)
    }

    @Test func `The reference pairs neighbours and carries a left-over up`() {
        let v = (0..<6).map { CanonicalTree.values(count: 100, seed: UInt64($0)) }
        func plus(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }
        #expect(CanonicalTree.sum(Array(v[0..<3])) == plus(plus(v[0], v[1]), v[2]))
        #expect(CanonicalTree.sum(v) == plus(plus(plus(v[0], v[1]), plus(v[2], v[3])), plus(v[4], v[5])))
    }

    @Test func `Half of the data per rank goes out and comes in at two ranks`() throws {
        let counts = try ThreadWorld.run(worldSize: 2) { communicator in
            let counting = CountingCommunicator(communicator)
            _ = try CollectiveChecks.pipelinedSum(count: 1000, bucket: 1000, interval: 1, on: counting)
            return counting.elementsSent
        }
        #expect(counts == [1000, 1000])
    }

    @Test(arguments: [(3, 2), (4, 3), (6, 5), (8, 7)])
    func `No more moves than in a bandwidth-optimal allreduce`(worldSize: Int, others: Int) throws {
        let count = worldSize * 100
        let sent = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let counting = CountingCommunicator(communicator)
            _ = try CollectiveChecks.pipelinedSum(count: count, bucket: count, interval: 1, on: counting)
            return counting.elementsSent
        }
        #expect(sent == Array(repeating: 2 * count * others / worldSize, count: worldSize))
    }

    @Test func `More elements than the scratch was made for is a bug`() async {
        await #expect(processExitsWith: .failure) {
            try ExactAllReduce(FixedFloats([1, 1, 1, 1]), maximumCount: 3, on: SingleProcess()).start(0..<4)
        }
    }
}
