import Collectives
import Kernels

/// Gives each matrix of an optimizer's update to one rank, which computes it as a whole, and its result to all others while
/// the next are computed.
package final class MatrixSharing {
    /// The rank that computes each matrix.
    package let owners: [Int]
    private let rank: Int
    private let transfers: MatrixTransfers

    /// Nil where each rank had better compute all: alone, or with matrices so small that `isWorthwhile` says no.
    /// - Parameter limit: how many results of each direction may be under way.
    package init?(_ shapes: [MatrixShape], on communicator: any Communicator, limit: Int? = nil) {
        owners = Self.owners(shapes, ranks: communicator.worldSize)
        rank = communicator.rank
        transfers = MatrixTransfers(owners: owners, limit: limit ?? MatrixTransfers.limit, on: communicator)
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
    package func isOwn(_ index: Int) -> Bool { owners[index] == rank }

    /// Starts to give this rank's result to all others, or to take another rank's: an owner once it has the result, which
    /// must then stay as it is, others as soon as its place is free. All ranks call it for every matrix, in order.
    package func start(_ index: Int, _ arena: Buffer<Float>, _ range: Range<Int>) throws {
        try transfers.start(index, arena, range)
    }

    /// The next result of another rank that has come, to the bit, each once; nil: none yet. `waiting` waits for it: nil then
    /// means that all have come, and that all of this rank's were taken.
    package func next(waiting: Bool) throws -> Int? { try transfers.next(waiting: waiting) }
}
