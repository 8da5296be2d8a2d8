import Basics
import CMPI
import Collectives

/// The ranks that `mpirun` or `srun` started, over MPI.
///
/// MPI can be started once in the life of a process, so there is one of these. Calls come from the thread that made it
/// (MPI_THREAD_FUNNELED).
package final class MPICommunicator: Communicator {
    package let rank: Int
    package let worldSize: Int
    package let localRank: Int
    package let localSize: Int
    package let hostName: String
    package let implementation: String

    /// Starts MPI and checks that it is usable: its thread level, and that the launcher speaks to this very library.
    ///
    /// - Parameter environment: where the launcher's variables are; those of this process by default.
    /// - Throws: `CollectiveError` of operation `start`; its exit code is 78 when the launcher started several ranks but
    ///   this MPI library sees one, else 70.
    package init(environment: [String: String] = launcherEnvironment()) throws(CollectiveError) {
        try Self.check(Activity.waiting(cmpi_init), "start", rank: 0)
        var numbers: (rank: Int32, size: Int32) = (0, 1)
        try Self.check(cmpi_world(&numbers.rank, &numbers.size), "start", rank: 0)
        rank = Int(numbers.rank)
        worldSize = Int(numbers.size)
        try Self.check(cmpi_local(&numbers.rank, &numbers.size), "start", rank: rank)
        localRank = Int(numbers.rank)
        localSize = Int(numbers.size)
        hostName = try Self.text("start", rank: rank) { cmpi_host_name($0, $1) }
        // `Open MPI v4.1.4, package: …`: the first part is enough.
        let version = try Self.text("start", rank: rank) { cmpi_version($0, $1) }
        implementation = String(version.prefix { $0 != "," })

        if let problem = Self.mismatch(environment: environment, worldSize: worldSize, library: implementation) {
            _ = cmpi_finalize()
            throw CollectiveError(operation: "start", rank: rank, code: 0, reason: problem, exitCode: .ranksDisagree)
        }
    }

    /// Ends MPI: waits for every rank, then finalizes. The communicator cannot be used afterwards.
    package func shutdown() throws(CollectiveError) {
        try wait("shutdown") { cmpi_barrier() }
        try wait("shutdown") { cmpi_finalize() }
    }

    package func allReduceSum(_ values: inout MutableSpan<Float>) throws(CollectiveError) {
        try wait("allReduceSum") {
            values.withUnsafeMutableBufferPointer {
                cmpi_allreduce_float($0.baseAddress, $0.count, ReductionOperation.sum.rawValue)
            }
        }
    }

    package func allReduce(
        _ values: inout MutableSpan<Double>, _ operation: ReductionOperation
    ) throws(CollectiveError) {
        try wait("allReduce") {
            values.withUnsafeMutableBufferPointer {
                cmpi_allreduce_double($0.baseAddress, $0.count, operation.rawValue)
            }
        }
    }

    package func allReduce(_ values: inout MutableSpan<Int64>, _ operation: ReductionOperation) throws(CollectiveError)
    {
        try wait("allReduce") {
            values.withUnsafeMutableBufferPointer {
                cmpi_allreduce_int64($0.baseAddress, $0.count, operation.rawValue)
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
        let isRoot = rank == root
        var counts = [Int64](repeating: 0, count: isRoot ? worldSize : 0)
        try wait("gather") {
            counts.withUnsafeMutableBufferPointer {
                cmpi_gather_counts(Int64(bytes.count), $0.baseAddress, Int32(root))
            }
        }
        var all = [UInt8](repeating: 0, count: Int(counts.reduce(0, +)))
        try wait("gather") {
            bytes.withUnsafeBytes { own in
                all.withUnsafeMutableBytes { received in
                    counts.withUnsafeBufferPointer { counts in
                        cmpi_gather_bytes(
                            own.baseAddress, own.count, received.baseAddress, counts.baseAddress, Int32(root))
                    }
                }
            }
        }
        var start = 0
        return counts.map { count in
            defer { start += Int(count) }
            return Array(all[start..<start + Int(count)])
        }
    }

    package func exchange(
        sending: Span<Float>, receiving: inout MutableSpan<Float>, with peer: Int
    ) throws(CollectiveError) {
        requirePeer(peer)
        try wait("exchange") {
            sending.withUnsafeBufferPointer { out in
                receiving.withUnsafeMutableBufferPointer { into in
                    cmpi_exchange_float(out.baseAddress, out.count, into.baseAddress, into.count, Int32(peer))
                }
            }
        }
    }

    package func exchange(
        in values: inout MutableSpan<Float>, sending: Range<Int>, receiving: Range<Int>, with peer: Int
    ) throws(CollectiveError) {
        requirePeer(peer)
        precondition(
            !sending.overlaps(receiving) && max(sending.upperBound, receiving.upperBound) <= values.count
                && min(sending.lowerBound, receiving.lowerBound) >= 0,
            "exchange \(sending) with \(receiving) in \(values.count) elements")
        try wait("exchange") {
            values.withUnsafeMutableBufferPointer { all in
                let out = UnsafeMutableBufferPointer(rebasing: all[sending])
                let into = UnsafeMutableBufferPointer(rebasing: all[receiving])
                return cmpi_exchange_float(out.baseAddress, out.count, into.baseAddress, into.count, Int32(peer))
            }
        }
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
    func wait(_ operation: String, _ call: () -> Int32) throws(CollectiveError) {
        try check(Activity.waiting(call), operation)
    }

    func check(_ code: Int32, _ operation: String) throws(CollectiveError) {
        try Self.check(code, operation, rank: rank)
    }

    private static func check(_ code: Int32, _ operation: String, rank: Int) throws(CollectiveError) {
        guard code != 0 else { return }
        let reason =
            (try? text(operation, rank: rank) { text, capacity in
                cmpi_error_string(code, text, capacity)
                return 0
            }) ?? "unknown error"
        throw CollectiveError(
            operation: operation, rank: rank, code: code, reason: reason,
            exitCode: operation == "start" ? .internalError : .peerLost)
    }

    private static func text(
        _ operation: String, rank: Int, _ fill: (UnsafeMutablePointer<CChar>?, Int) -> Int32
    ) throws(CollectiveError) -> String {
        var bytes = [CChar](repeating: 0, count: 512)
        try check(bytes.withUnsafeMutableBufferPointer { fill($0.baseAddress, $0.count) }, operation, rank: rank)
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private func requireRank(_ other: Int) {
        precondition((0..<worldSize).contains(other), "rank \(other) in a world of \(worldSize) ranks")
    }

    func requirePeer(_ peer: Int) {
        requireRank(peer)
        precondition(peer != rank, "rank \(rank) exchanges with itself")
    }
}
