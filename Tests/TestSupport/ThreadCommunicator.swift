import Basics
import Collectives
import Glibc

/// One rank of a `ThreadWorld`.
final class ThreadCommunicator: Communicator {
    let rank: Int
    let hostName: String
    private let world: ThreadWorld.World
    private let receives = ThreadWorld.Receives()

    var worldSize: Int { world.size }
    var localRank: Int { rank }
    var localSize: Int { world.size }
    var implementation: String { "\(world.size) threads" }

    init(rank: Int, world: ThreadWorld.World) {
        self.rank = rank
        self.world = world
        hostName = currentHostName()
    }

    func allReduce<Value: Reducible>(
        _ values: inout MutableSpan<Value>, _ operation: ReductionOperation
    ) throws(CollectiveError) {
        let call = ThreadWorld.Call(name: "allReduce(\(Value.self), \(operation))", count: values.count)
        world.desks[rank].numbers = values.indices.map { values[$0] }
        try world.meet(rank: rank, call)
        for other in 0..<worldSize {
            guard let source = world.desks[other].numbers as? [Value] else { continue }
            for i in values.indices {
                values[i] = other == 0 ? source[i] : combine(values[i], source[i], operation)
            }
        }
        try world.meet(rank: rank, call)
    }

    func broadcast(_ bytes: inout MutableRawSpan, root: Int) throws(CollectiveError) {
        precondition((0..<worldSize).contains(root), "root \(root) in a world of \(worldSize) ranks")
        let call = ThreadWorld.Call(name: "broadcast", count: bytes.byteCount, root: root)
        if rank == root {
            world.desks[rank].bytes.removeAll(keepingCapacity: true)
            bytes.withUnsafeBytes { world.desks[rank].bytes.append(contentsOf: $0) }
        }
        try world.meet(rank: rank, call)
        if rank != root {
            world.desks[root].bytes.withUnsafeBytes { source in
                bytes.withUnsafeMutableBytes { $0.copyMemory(from: source) }
            }
        }
        try world.meet(rank: rank, call)
    }

    func gather(_ bytes: [UInt8], root: Int) throws(CollectiveError) -> [[UInt8]] {
        precondition((0..<worldSize).contains(root), "root \(root) in a world of \(worldSize) ranks")
        let call = ThreadWorld.Call(name: "gather", root: root)
        world.desks[rank].bytes = bytes
        try world.meet(rank: rank, call)
        let gathered = rank == root ? world.desks.map(\.bytes) : []
        try world.meet(rank: rank, call)
        return gathered
    }

    /// A send is done at once, since the message is a copy; but until it is finished its range must stay as it is.
    func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try world.requireWhole(rank: rank, "startSend")
        precondition(peer != rank && (0..<worldSize).contains(peer), "rank \(rank) sends to rank \(peer)")
        let values = memory.withMutableSpan(range) { span in span.indices.map { span[$0] } }
        let channel = world.channel(from: rank, to: peer)
        world.update {
            let number = channel.sent[tag, default: 0]
            channel.sent[tag] = number + 1
            channel.messages.append((.init(tag: tag, number: number), values))
        }
        receives.next += 1
        receives.sends[-receives.next] = (ObjectIdentifier(memory), range)
        return Transfer(id: -receives.next)
    }

    func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try world.requireWhole(rank: rank, "startReceive")
        let isSent = receives.sends.values.contains { $0 == ObjectIdentifier(memory) && $1.overlaps(range) }
        precondition(!isSent, "rank \(rank) receives into \(range), of which something is still being sent")
        let number = receives.counts[[peer, tag], default: 0]
        receives.counts[[peer, tag]] = number + 1
        receives.next += 1
        receives.started[receives.next] = .init(
            memory: memory, range: range, peer: peer, key: .init(tag: tag, number: number))
        return Transfer(id: receives.next)
    }

    func isOver(_ transfer: Transfer) throws(CollectiveError) -> Bool {
        try world.requireWhole(rank: rank, "isOver")
        guard transfer.id > 0 else {
            precondition(receives.sends[transfer.id] != nil, "a send is asked for that is finished")
            return true
        }
        guard let receive = receives.started[transfer.id] else {
            preconditionFailure("transfer \(transfer.id) is asked for that is finished")
        }
        let channel = world.channel(from: receive.peer, to: rank)
        var isOver = false
        world.update { isOver = channel.messages.contains { $0.key == receive.key } }
        return isOver
    }

    func finish(_ transfer: Transfer) throws(CollectiveError) {
        guard transfer.id > 0 else {
            precondition(receives.sends.removeValue(forKey: transfer.id) != nil, "a send is finished twice")
            return
        }
        guard let receive = receives.started.removeValue(forKey: transfer.id) else {
            preconditionFailure("transfer \(transfer.id) is finished twice")
        }
        let channel = world.channel(from: receive.peer, to: rank)
        var message: [Float]?
        try world.waitUntil(rank: rank, peer: receive.peer, "finish") {
            guard let first = channel.messages.firstIndex(where: { $0.key == receive.key }) else { return false }
            message = channel.messages.remove(at: first).values
            return true
        }
        guard let message, message.count == receive.range.count else {
            let reason =
                "rank \(receive.peer) sent \(message?.count ?? 0) elements, rank \(rank) expected \(receive.range.count)"
            let error = CollectiveError(operation: "finish", rank: rank, reason: reason)
            world.breakWorld(rank: rank, error)
            throw error
        }
        receive.memory.withMutableSpan(receive.range) { values in
            for i in message.indices { values[i] = message[i] }
        }
    }

    func barrier() throws(CollectiveError) {
        try world.meet(rank: rank, .init(name: "barrier"))
    }

    /// Marks the world as failed, which releases the other ranks, and stops this thread for good: the process and the
    /// other threads live on. What this thread held stays allocated.
    func abort(code: ExitCode) -> Never {
        world.leave(rank: rank, with: ThreadWorld.Aborted(rank: rank, exitCode: code))
        while true { pause() }
    }

    private func combine<Value: Reducible>(_ a: Value, _ b: Value, _ operation: ReductionOperation) -> Value {
        switch operation {
        case .sum: a + b
        case .minimum: b < a ? b : a
        case .maximum: b > a ? b : a
        }
    }
}
