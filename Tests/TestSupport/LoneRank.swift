import Basics
import Collectives
import Glibc
import Synchronization

/// Rank 0 of a world whose other ranks are the test's to play: reductions leave the values as they are, nothing is sent
/// or received, and each call that waits for others is noted.
package final class LoneRank: Communicator {
    /// A call, the bytes that it was given, and what the watchdog saw of this process then.
    package struct Call: Sendable {
        package let name: String
        package let bytes: [UInt8]
        package let state: Activity.State
    }

    package let rank = 0
    package let localRank = 0
    package let hostName = "here"
    package let implementation = "a lone rank"
    package var worldSize: Int { 1 + others.count }
    package var localSize: Int { worldSize }
    private let others: [[UInt8]]
    private let noted = Mutex<[Call]>([])

    /// - Parameter others: what the other ranks give to `gather`.
    package init(others: [String]) { self.others = others.map { Array($0.utf8) } }

    /// The calls up to now.
    package var calls: [Call] { noted.withLock { $0 } }

    private func note(_ name: String, _ bytes: [UInt8] = []) {
        let call = Call(name: name, bytes: bytes, state: Activity.state)
        noted.withLock { $0.append(call) }
    }

    package func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) { note("allReduce") }
    package func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) {
        note("broadcast", bytes.withUnsafeBytes { Array($0) })
    }
    package func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] {
        note("gather", bytes)
        return [bytes] + others
    }
    package func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer { Transfer(id: 0) }
    package func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer { Transfer(id: 1) }
    package func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool { true }
    package func finish(_ transfer: Transfer) throws(CollectiveError) { note("finish") }
    package func barrier() throws(CollectiveError) { note("barrier") }
    package func abort(code: ExitCode) -> Never { exit(code.rawValue) }
}
