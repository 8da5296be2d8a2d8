import CMPI
import Collectives

// Messages and sums that are under way while the caller computes. MPI makes no progress of its own between calls: a
// message that both sides have started moves when one of them makes its next call.

extension MPICommunicator {
    // The memory stays where it is for its life (`ExchangeMemory`), and the caller keeps it until `finish`, so its address
    // may outlive the call that lends it.

    public func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        requirePeer(peer)
        var slot: Int32 = -1
        let code = memory.withMutableSpan(range) { values in
            values.withUnsafeMutableBufferPointer {
                cmpi_start_send_float($0.baseAddress, $0.count, Int32(peer), Int32(tag), &slot)
            }
        }
        try check(code, "startSend")
        return Transfer(id: Int(slot))
    }

    public func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        requirePeer(peer)
        var slot: Int32 = -1
        let code = memory.withMutableSpan(range) { values in
            values.withUnsafeMutableBufferPointer {
                cmpi_start_receive_float($0.baseAddress, $0.count, Int32(peer), Int32(tag), &slot)
            }
        }
        try check(code, "startReceive")
        return Transfer(id: Int(slot))
    }

    public func finish(_ transfer: Transfer) throws(CollectiveError) {
        try check(cmpi_wait(Int32(transfer.id)), "finish")
    }

    /// A sum under way. Each must be finished exactly once, in any order.
    public struct Request: Sendable {
        fileprivate let slot: Int32
    }

    /// Starts to sum `values` over ranks in place and returns at once.
    ///
    /// `values` must stay where it is, and must not be read or written, until `finish` or until `isFinished` has
    /// returned true. Up to 512 sums and transfers may be under way.
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
