import CMPI
import Collectives

// Sums that go on while the caller computes. Measured slower than the blocking call on hot buckets, because MPI makes
// no progress of its own between calls; `collectives-check --bench` shows both.

extension MPICommunicator {
    /// A sum under way. Each must be finished exactly once, in any order.
    public struct Request: Sendable {
        fileprivate let slot: Int32
    }

    /// Starts to sum `values` over ranks in place and returns at once.
    ///
    /// `values` must stay where it is, and must not be read or written, until `finish` or until `isFinished` has
    /// returned true. Up to 64 sums may be under way.
    public func startAllReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) -> Request {
        var slot: Int32 = -1
        try check(
            cmpi_start_allreduce_float(
                values.baseAddress, values.count, ReductionOperation.sum.rawValue, &slot), "startAllReduceSum")
        return Request(slot: slot)
    }

    /// Moves the sum on and tells whether it is done; once it has said so, the request is used up.
    public func isFinished(_ request: Request) throws(CollectiveError) -> Bool {
        var isDone: Int32 = 0
        try check(cmpi_test(request.slot, &isDone), "isFinished")
        return isDone == 1
    }

    /// Waits for the end of the sum; the request is used up.
    public func finish(_ request: Request) throws(CollectiveError) {
        try check(cmpi_wait(request.slot), "finish")
    }
}
