import Basics
import Collectives

/// Ranks that are not there: what parts of a run ask for to count the memory that they will take. Nothing is sent.
final class PlannedRanks: Communicator {
    let rank = 0
    let worldSize: Int
    let localRank = 0
    let localSize: Int
    let hostName = currentHostName()
    let implementation = "planned"

    /// - Parameter count: ranks, all on this host.
    init(_ count: Int) { (worldSize, localSize) = (count, count) }

    private func absent() -> Never { preconditionFailure("planned ranks exchange nothing") }

    func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) { absent() }
    func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) { absent() }
    func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] { absent() }
    func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer { absent() }
    func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer { absent() }
    func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool { absent() }
    func finish(_ transfer: Transfer) throws(CollectiveError) { absent() }
    func barrier() throws(CollectiveError) { absent() }
    func abort(code: ExitCode) -> Never { absent() }
}
