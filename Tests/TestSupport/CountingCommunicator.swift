import Basics
import Collectives

/// Counts what goes through another communicator.
package final class CountingCommunicator: Communicator, @unchecked Sendable {
    /// Elements of the transfers that this rank has sent.
    package private(set) var elementsSent = 0
    /// Calls of `allReduce`.
    package private(set) var reductions = 0
    private let base: any Communicator

    package init(_ base: any Communicator) { self.base = base }

    package var rank: Int { base.rank }
    package var worldSize: Int { base.worldSize }
    package var localRank: Int { base.localRank }
    package var localSize: Int { base.localSize }
    package var hostName: String { base.hostName }
    package var implementation: String { base.implementation }

    package func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        elementsSent += range.count
        return try base.startSend(memory, range, to: peer, tag: tag)
    }
    package func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try base.startReceive(into: memory, range, from: peer, tag: tag)
    }
    package func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool { try base.isOver(transfer) }
    package func finish(_ transfer: Transfer) throws(CollectiveError) { try base.finish(transfer) }
    package func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) {
        reductions += 1
        try base.allReduce(&values, operation)
    }
    package func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) {
        try base.broadcast(&bytes, root: root)
    }
    package func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] {
        try base.gather(bytes, root: root)
    }
    package func barrier() throws(CollectiveError) { try base.barrier() }
    package func abort(code: ExitCode) -> Never { base.abort(code: code) }
}
