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

    /// Combines over ranks element by element, in the order that the implementation likes best (`MPI_Allreduce`); every
    /// rank gets the result.
    func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError)
    /// Copies `root`'s bytes to every rank.
    func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError)
    /// Collects every rank's bytes at `root`, in rank order; other ranks get an empty array. Lengths may differ.
    func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]]
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
    /// Whether a transfer has come to its end, so that `finish` would not wait, which must follow all the same. Messages
    /// move on in the call.
    func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool
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

/// What `allReduce` combines.
package protocol Reducible: BitwiseCopyable, Comparable, AdditiveArithmetic, Sendable {
    static var numberType: NumberType { get }
}

/// A type of numbers that every implementation can combine.
package enum NumberType: Int32, Sendable {
    case float = 0
    case double = 1
    case int64 = 2
}

extension Float: Reducible { package static var numberType: NumberType { .float } }
extension Double: Reducible { package static var numberType: NumberType { .double } }
extension Int64: Reducible { package static var numberType: NumberType { .int64 } }

/// Floats that stay where they are as long as the object lives, so that a transport can read and write them while their
/// owner goes on.
package protocol ExchangeMemory: AnyObject, Sendable {
    /// Lends the elements of a range to read and write. The same elements are at the same address at every call.
    func withMutableSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(E) -> R
    ) throws(E) -> R
}

/// A message under way, from `startSend` or `startReceive` to `finish`.
package struct Transfer: Sendable, Equatable {
    /// The communicator's own number for it.
    package let id: Int

    /// - Parameter id: unique among the communicator's transfers under way.
    package init(id: Int) { self.id = id }
}
