import Basics
import Glibc

/// The world of one rank: every collective leaves the values as they are. For runs without a launcher, under a
/// debugger or in a container, where MPI is not started at all.
package final class SingleProcess: Communicator {
    package let rank = 0
    package let worldSize = 1
    package let localRank = 0
    package let localSize = 1
    package let hostName = currentHostName()
    package let implementation = "one process"

    package init() {}

    package func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) {}

    package func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) {
        precondition(root == 0, "root \(root) in a world of one rank")
    }

    package func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] {
        precondition(root == 0, "root \(root) in a world of one rank")
        return [bytes]
    }

    package func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        preconditionFailure("a world of one rank has no rank \(peer) to send to")
    }

    package func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        preconditionFailure("a world of one rank has no rank \(peer) to receive from")
    }

    package func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool {
        preconditionFailure("a world of one rank has no transfers")
    }

    package func finish(_ transfer: Transfer) throws(CollectiveError) {
        preconditionFailure("a world of one rank has no transfers")
    }

    package func barrier() throws(CollectiveError) {}

    /// Ends the process with this exit code.
    package func abort(code: ExitCode) -> Never {
        exit(code.rawValue)
    }
}

/// This machine's name, `localhost` where it has none.
package func currentHostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.isEmpty ? "localhost" : text
}
