import Basics

/// A group of ranks that exchange values. `Trainer` never knows which implementation it has.
///
/// Every collective must be called by all ranks in the same order. Buffers are owned by the caller and changed in
/// place; only `gather` allocates in proportion to the data. Calls come from the thread that made the communicator.
package protocol Communicator: AnyObject, Sendable {
    /// This process's number, 0 ..< `worldSize`.
    var rank: Int { get }
    /// How many ranks take part.
    var worldSize: Int { get }
    /// This rank's number among the ranks of the same host.
    var localRank: Int { get }
    /// How many ranks share this host.
    var localSize: Int { get }
    /// The name of this host, for messages.
    var hostName: String { get }
    /// What carries the messages, for the log: `Open MPI v4.1.4`, `one process`, `2 threads`.
    var implementation: String { get }

    /// Sums over ranks in the order that the implementation likes best (`MPI_Allreduce`); every rank gets the result.
    func allReduceSum(_ values: inout MutableSpan<Float>) throws(CollectiveError)
    /// Combines over ranks element by element; every rank gets the result.
    func allReduce(_ values: inout MutableSpan<Double>, _ operation: ReductionOperation) throws(CollectiveError)
    /// Combines over ranks element by element; every rank gets the result.
    func allReduce(_ values: inout MutableSpan<Int64>, _ operation: ReductionOperation) throws(CollectiveError)
    /// Copies `root`'s bytes to every rank.
    func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError)
    /// Collects every rank's bytes at `root`, in rank order; other ranks get an empty array. Lengths may differ.
    func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]]
    /// Sends to one rank and receives from the same one, at the same time. Counts may differ from one another.
    /// - Precondition: `peer` is another rank.
    func exchange(sending: Span<Float>, receiving: inout MutableSpan<Float>, with peer: Int) throws(CollectiveError)
    /// The same inside one buffer: sends the elements of one range and receives into another.
    /// - Precondition: `peer` is another rank, the ranges are inside `values` and do not overlap.
    func exchange(
        in values: inout MutableSpan<Float>, sending: Range<Int>, receiving: Range<Int>, with peer: Int
    ) throws(CollectiveError)
    /// Starts to send a range to one rank and returns; the range must not change before `finish`. Messages of one tag
    /// (0 or 1) arrive in the order of their start.
    /// - Precondition: `peer` is another rank.
    func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer
    /// Starts to receive a range from one rank and returns; the range has the values after `finish`, and must not be
    /// used before. The peer sends as many elements.
    /// - Precondition: `peer` is another rank.
    func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer
    /// Waits for a transfer's end; each is finished exactly once. A send ends when the peer has taken it.
    func finish(_ transfer: Transfer) throws(CollectiveError)
    /// Returns when every rank has arrived.
    func barrier() throws(CollectiveError)
    /// Ends the whole job with this exit code. The caller has printed why.
    func abort(code: ExitCode) -> Never
}

/// How `allReduce` combines two values.
package enum ReductionOperation: Int32, Sendable, CaseIterable {
    case sum = 0
    case minimum = 1
    case maximum = 2
}
