import Collectives
import DataParallel
import Kernels
import TestSupport
import Testing

struct CanonicalSumTests {
    @Test(arguments: [1, 2, 3, 6])
    func `Every rank gets all values with their bits`(worldSize: Int) throws {
        let values: [Double] = [9.5, -0.0, 1e-300, .infinity, -.nan, 3.25]
        let share = values.count / worldSize
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let first = communicator.rank * share
            return try CanonicalSum.sumOfMicroBatches(
                Array(values[first..<first + share]), firstIndex: first, total: values.count, on: communicator)
        }
        for result in results { #expect(result.map(\.bitPattern) == values.map(\.bitPattern)) }
    }
}

struct ParameterBroadcastTests {
    @Test(arguments: [1, 10, 1003, 5000], [1, 3])
    func `Every rank ends with the root's values`(chunkElements: Int, worldSize: Int) throws {
        let expected = CanonicalTree.values(count: 1003, seed: 1)
        let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
            let root = worldSize - 1
            let buffer = Buffer<Float>(count: 1003)
            if communicator.rank == root { buffer.set(expected) }
            try ParameterBroadcast.broadcast(buffer, from: root, chunkElements: chunkElements, on: communicator)
            return buffer.array()
        }
        #expect(results == Array(repeating: expected, count: worldSize))
    }
}
