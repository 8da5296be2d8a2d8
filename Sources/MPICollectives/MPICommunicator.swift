import Basics
import CMPI
import Collectives

/// The ranks that `mpirun` or `srun` started, over MPI.
///
/// MPI can be started once in the life of a process, so there is one of these. Calls come from the thread that made it
/// (MPI_THREAD_FUNNELED). MPI makes no progress of its own between calls: a transfer that both sides have started moves
/// when one of them makes its next call.
package final class MPICommunicator: Communicator {
    package let rank: Int
    package let worldSize: Int
    package let localRank: Int
    package let localSize: Int
    package let hostName = currentHostName()
    package let implementation: String

    /// Starts MPI and checks that the launcher speaks to this very library.
    ///
    /// - Parameter environment: where the launcher's variables are.
    /// - Throws: `CollectiveError` of operation `start`; its exit code is 78 when the launcher started several ranks but
    ///   this MPI library sees one, else 70.
    package init(environment: [String: String]) throws(CollectiveError) {
        try Self.check(Activity.waiting(cmpi_init), "start", rank: 0)
        var (rank, size, localRank, localSize): (Int32, Int32, Int32, Int32) = (0, 1, 0, 1)
        try Self.check(cmpi_ranks(&rank, &size, &localRank, &localSize), "start", rank: Int(rank))
        (self.rank, worldSize) = (Int(rank), Int(size))
        (self.localRank, self.localSize) = (Int(localRank), Int(localSize))
        implementation = String(cString: cmpi_version())

        if let problem = Self.mismatch(environment: environment, worldSize: worldSize, library: implementation) {
            _ = cmpi_finalize()
            throw CollectiveError(operation: "start", rank: self.rank, reason: problem, exitCode: .ranksDisagree)
        }
    }

    /// Ends MPI: waits for every rank, then finalizes. The communicator cannot be used afterwards.
    package func shutdown() throws(CollectiveError) {
        try wait("shutdown") { cmpi_barrier() }
        try wait("shutdown") { cmpi_finalize() }
    }

    package func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) {
        try wait("allReduce") {
            values.withUnsafeMutableBufferPointer {
                cmpi_allreduce($0.baseAddress, $0.count, Value.numberType.rawValue, operation.rawValue)
            }
        }
    }

    package func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) {
        requireRank(root)
        try wait("broadcast") {
            bytes.withUnsafeMutableBytes { cmpi_broadcast($0.baseAddress, $0.count, Int32(root)) }
        }
    }

    package func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] {
        requireRank(root)
        // Blocks of one size, each with its length before it: the displacements of MPI_Gatherv would be 32-bit numbers.
        let block = 8 + Int(try allReduce(Int64(bytes.count), .maximum))
        let padding = [UInt8](repeating: 0, count: block - 8 - bytes.count)
        let own = withUnsafeBytes(of: Int64(bytes.count)) { Array($0) } + bytes + padding
        var all = [UInt8](repeating: 0, count: rank == root ? worldSize * block : 0)
        try wait("gather") {
            all.withUnsafeMutableBytes { cmpi_gather(own, block, $0.baseAddress, Int32(root)) }
        }
        return stride(from: 0, to: all.count, by: block).map { start in
            let length = all.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Int64.self) }
            return Array(all[start + 8..<start + 8 + Int(length)])
        }
    }

    package func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try start("startSend", memory, range, peer, tag, isSend: 1)
    }

    package func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try start("startReceive", memory, range, peer, tag, isSend: 0)
    }

    /// The memory stays where it is for its life (`ExchangeMemory`), and the caller keeps it until `finish`, so its
    /// address may outlive the call that lends it.
    private func start(
        _ operation: String, _ memory: any ExchangeMemory, _ range: Range<Int>, _ peer: Int, _ tag: Int, isSend: Int32
    ) throws(CollectiveError) -> Transfer {
        requireRank(peer)
        precondition(peer != rank, "rank \(rank) exchanges with itself")
        var slot: Int32 = -1
        let code = memory.withMutableSpan(range) { values in
            values.withUnsafeMutableBufferPointer {
                cmpi_start($0.baseAddress, $0.count, Int32(peer), Int32(tag), isSend, &slot)
            }
        }
        try Self.check(code, operation, rank: rank)
        return Transfer(id: Int(slot))
    }

    package func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool {
        var isOver: Int32 = 0
        try Self.check(cmpi_test(Int32(transfer.id), &isOver), "isOver", rank: rank)
        return isOver != 0
    }

    package func finish(_ transfer: Transfer) throws(CollectiveError) {
        try wait("finish") { cmpi_wait(Int32(transfer.id)) }
    }

    package func barrier() throws(CollectiveError) {
        try wait("barrier") { cmpi_barrier() }
    }

    /// Ends every rank of the job with this exit code (MPI_Abort).
    package func abort(code: ExitCode) -> Never {
        cmpi_abort(code.rawValue)
    }

    // Every return code of the shim goes through here.

    /// A call that waits for other ranks.
    private func wait(_ operation: String, _ call: () -> Int32) throws(CollectiveError) {
        try Self.check(Activity.waiting(call), operation, rank: rank)
    }

    private static func check(_ code: Int32, _ operation: String, rank: Int) throws(CollectiveError) {
        guard code != 0 else { return }
        throw CollectiveError(
            operation: operation, rank: rank,
            reason: String(cString: cmpi_error_string(code)) + (code > 0 ? " (MPI code \(code))" : ""),
            exitCode: operation == "start" ? .internalError : .peerLost)
    }

    private func requireRank(_ other: Int) {
        precondition((0..<worldSize).contains(other), "rank \(other) in a world of \(worldSize) ranks")
    }
}
