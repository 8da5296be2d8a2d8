import CMPI
import Collectives

// Messages that are under way while the caller computes. MPI makes no progress of its own between calls: a
// message that both sides have started moves when one of them makes its next call.

extension MPICommunicator {
    // The memory stays where it is for its life (`ExchangeMemory`), and the caller keeps it until `finish`, so its address
    // may outlive the call that lends it.

    package func startSend(
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

    package func startReceive(
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

    package func finish(_ transfer: Transfer) throws(CollectiveError) {
        try wait("finish") { cmpi_wait(Int32(transfer.id)) }
    }
}
