import Collectives
import Kernels

/// Gives each matrix of an optimizer's update to one rank, which computes it as a whole, and its result to all.
package final class MatrixSharing {
    /// The rank that computes each matrix.
    package let owners: [Int]
    private let communicator: any Communicator

    /// Nil where each rank had better compute all: alone, or with matrices so small that `isWorthwhile` says no.
    package init?(_ shapes: [MatrixShape], on communicator: any Communicator) {
        owners = Self.owners(shapes, ranks: communicator.worldSize)
        self.communicator = communicator
        if !Self.isWorthwhile(shapes, owners: owners, ranks: communicator.worldSize) { return nil }
    }

    /// The largest matrix first, each to the rank that has least to do so far; of equals the first. A function of shapes
    /// and number of ranks alone.
    package static func owners(_ shapes: [MatrixShape], ranks: Int) -> [Int] {
        var loads = [Int](repeating: 0, count: ranks)
        var owners = [Int](repeating: 0, count: shapes.count)
        let order = shapes.indices.sorted { a, b in
            let (first, second) = (shapes[a].operations, shapes[b].operations)
            return first == second ? a < b : first > second
        }
        for index in order {
            let rank = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            owners[index] = rank
            loads[rank] = saturatingSum(loads[rank], shapes[index].operations)
        }
        return owners
    }

    /// Whether sharing saves more than it costs. It saves each rank what the busiest one does not compute; a message costs
    /// as much as 2 million operations, and each number in it as 256. That is 10 µs and 3 GB/s beside 200 Gflop/s in one
    /// machine; a slow network costs more, a slow core computes less.
    package static func isWorthwhile(_ shapes: [MatrixShape], owners: [Int], ranks: Int) -> Bool {
        guard ranks > 1 else { return false }
        var loads = [Int](repeating: 0, count: ranks)
        var cost = 0
        for (shape, owner) in zip(shapes, owners) {
            loads[owner] = saturatingSum(loads[owner], shape.operations)
            cost = saturatingSum(cost, saturatingSum(2_000_000, saturatingProduct(256, shape.count)))
        }
        let busiest = loads.max() ?? 0
        return loads.reduce(0, saturatingSum) - busiest > cost
    }

    /// Whether this rank computes the matrix.
    package func isOwn(_ index: Int) -> Bool { owners[index] == communicator.rank }

    /// Copies the owner's range to all ranks, with its bits.
    package func share(_ index: Int, _ arena: Buffer<Float>, _ range: Range<Int>) throws {
        try ParameterBroadcast.broadcast(arena, range, from: owners[index], on: communicator)
    }
}
