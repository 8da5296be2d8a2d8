import Collectives
import DataParallel
import Kernels
import TestSupport
import Testing

struct OrderedSumTests {
    @Test(arguments: [1, 2, 3, 6])
    func `Every rank gets all values with their bits`(worldSize: Int) throws {
        let values: [Double] = [9.5, -0.0, 1e-300, .infinity, -.nan, 3.25]
        let share = values.count / worldSize
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let first = communicator.rank * share
            let sum = try OrderedSum(count: values.count)
            // What an earlier step left must not count.
            for index in values.indices { sum[index] = 7 }
            sum.removeAll()
            for index in first..<first + share { sum[index] = values[index] }
            try sum.share(on: communicator)
            #expect(sum.firstNonFinite == 3)
            return values.indices.map { sum[$0] }
        }
        for result in results { #expect(result.map(\.bitPattern) == values.map(\.bitPattern)) }
    }

    /// In order of the index: another order would lose the ones beside 1e16.
    @Test func `The sum is taken in order`() throws {
        let values = [1e16, 1, 1, -1e16, 1, 0]
        let sum = try OrderedSum(count: 6)
        for (index, value) in values.enumerated() { sum[index] = value }
        try sum.share(on: SingleProcess())
        #expect(sum.sum == values.reduce(0, +) && sum.sum == 1)
        #expect(sum.firstNonFinite == nil)
    }
}

struct ParameterBroadcastTests {
    @Test(arguments: [1, 10, 1003, 5000], [1, 3])
    func `Every rank ends with the root's values`(chunkElements: Int, worldSize: Int) throws {
        let expected = CanonicalTree.values(count: 1003, seed: 1)
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let root = worldSize - 1
            let buffer = try Buffer<Float>(count: 1003)
            if communicator.rank == root { buffer.set(expected) }
            try ParameterBroadcast.broadcast(buffer, from: root, chunkElements: chunkElements, on: communicator)
            return buffer.array()
        }
        #expect(results == Array(repeating: expected, count: worldSize))
    }
}
