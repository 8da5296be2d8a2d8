import Collectives
import Kernels

/// The results of an update on their way between ranks, each from its owner to all others while the next are computed.
///
/// An owner sends to every other rank itself: as ranks own like shares, each sends and receives what it would in an
/// allgather. Nothing moves by itself, since MPI moves its messages only while it is called: between two matrices. Each
/// rank starts its transfers in the order of the matrices and waits for the oldest first, so no two wait for each other.
/// No call allocates.
final class MatrixTransfers {
    /// How many sends and as many receives may be under way: together less than the transport has places for.
    static let limit = 200

    private let communicator: any Communicator
    private let owners: [Int]
    private let limit: Int
    /// Of this update, in the order of their start; the first `sent` and `received` of them are finished.
    private var sends: [Transfer] = []
    private var receives: [(index: Int, transfer: Transfer)] = []
    private var sent = 0
    private var received = 0
    /// How many of the received `next` has named.
    private var named = 0

    /// - Parameter owners: the rank that has each result.
    init(owners: [Int], limit: Int, on communicator: any Communicator) {
        precondition(limit >= 1)
        self.communicator = communicator
        self.owners = owners
        self.limit = limit
        let own = owners.count(where: { $0 == communicator.rank })
        sends.reserveCapacity(own * (communicator.worldSize - 1))
        receives.reserveCapacity(owners.count - own)
    }

    /// Sends this rank's result from a range, or takes another's into it.
    func start(_ index: Int, _ arena: Buffer<Float>, _ range: Range<Int>) throws(CollectiveError) {
        let (rank, owner) = (communicator.rank, owners[index])
        guard owner == rank else {
            if receives.count - received == limit { try finishReceive() }
            receives.append((index, try communicator.startReceive(into: arena, range, from: owner, tag: 0)))
            return
        }
        for distance in 1..<communicator.worldSize {
            if sends.count - sent == limit { try finishSend() }
            // Each owner begins with the rank behind it, so that they do not all send to one.
            let peer = (rank + distance) % communicator.worldSize
            sends.append(try communicator.startSend(arena, range, to: peer, tag: 0))
        }
    }

    /// The next result of another rank that is there, in the order of their start, each once; nil: none yet. `waiting`
    /// waits for it, and nil then ends the update: none is left and all that this rank sent was taken.
    func next(waiting: Bool) throws(CollectiveError) -> Int? {
        if named == receives.count {
            // The sends of a rank that waits for nothing must move too.
            while sent < sends.count {
                if !waiting, try !communicator.isOver(sends[sent]) { return nil }
                try finishSend()
            }
            if waiting { reset() }
            return nil
        }
        if named == received {
            if !waiting, try !communicator.isOver(receives[named].transfer) { return nil }
            try finishReceive()
        }
        named += 1
        return receives[named - 1].index
    }

    private func finishSend() throws(CollectiveError) {
        try communicator.finish(sends[sent])
        sent += 1
    }

    private func finishReceive() throws(CollectiveError) {
        try communicator.finish(receives[received].transfer)
        received += 1
    }

    private func reset() {
        sends.removeAll(keepingCapacity: true)
        receives.removeAll(keepingCapacity: true)
        (sent, received, named) = (0, 0, 0)
    }
}
