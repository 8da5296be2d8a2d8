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

    func allReduceSum(_ values: inout MutableSpan<Float>) throws(CollectiveError) {
        world.desks[rank].floats.replace(with: values.span)
        try world.meet(rank: rank, .init(name: "allReduceSum(Float)", count: values.count))
        for other in 0..<worldSize {
            let source = world.desks[other].floats
            for i in values.indices { values[i] = other == 0 ? source[i] : values[i] + source[i] }
        }
        try world.meet(rank: rank, .init(name: "allReduceSum(Float)", count: values.count))
    }

    func allReduce(_ values: inout MutableSpan<Double>, _ operation: ReductionOperation) throws(CollectiveError) {
        let call = ThreadWorld.Call(name: "allReduce(Double, \(operation))", count: values.count)
        world.desks[rank].doubles.replace(with: values.span)
        try world.meet(rank: rank, call)
        for other in 0..<worldSize {
            let source = world.desks[other].doubles
            for i in values.indices {
                values[i] = other == 0 ? source[i] : combine(values[i], source[i], operation, sum: +)
            }
        }
        try world.meet(rank: rank, call)
    }

    func allReduce(_ values: inout MutableSpan<Int64>, _ operation: ReductionOperation) throws(CollectiveError) {
        let call = ThreadWorld.Call(name: "allReduce(Int64, \(operation))", count: values.count)
        world.desks[rank].integers.replace(with: values.span)
        try world.meet(rank: rank, call)
        for other in 0..<worldSize {
            let source = world.desks[other].integers
            for i in values.indices {
                values[i] = other == 0 ? source[i] : combine(values[i], source[i], operation, sum: &+)
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

    func exchange(
        sending: Span<Float>, receiving: inout MutableSpan<Float>, with peer: Int
    ) throws(CollectiveError) {
        try send(sending, to: peer)
        try receive(into: &receiving, from: peer)
    }

    func exchange(
        in values: inout MutableSpan<Float>, sending: Range<Int>, receiving: Range<Int>, with peer: Int
    ) throws(CollectiveError) {
        precondition(!sending.overlaps(receiving), "exchange \(sending) with \(receiving) in one buffer")
        try send(values.span.extracting(sending), to: peer)
        var target = values._mutatingExtracting(receiving)
        try receive(into: &target, from: peer)
    }

    /// A send is done at once: the message is a copy.
    func startSend(
        _ memory: any ExchangeMemory, _ range: Range<Int>, to peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try world.requireWhole(rank: rank, "startSend")
        var values: [Float] = []
        memory.withMutableSpan(range) { values.replace(with: $0.span) }
        let channel = world.channel(from: rank, to: peer)
        world.update {
            let number = channel.sent[tag, default: 0]
            channel.sent[tag] = number + 1
            channel.messages.append((.init(tag: tag, number: number), values))
        }
        return Transfer(id: -1)
    }

    func startReceive(
        into memory: any ExchangeMemory, _ range: Range<Int>, from peer: Int, tag: Int
    ) throws(CollectiveError) -> Transfer {
        try world.requireWhole(rank: rank, "startReceive")
        let number = receives.counts[[peer, tag], default: 0]
        receives.counts[[peer, tag]] = number + 1
        receives.next += 1
        receives.started[receives.next] = .init(
            memory: memory, range: range, peer: peer, key: .init(tag: tag, number: number))
        return Transfer(id: receives.next)
    }

    func finish(_ transfer: Transfer) throws(CollectiveError) {
        guard transfer.id > 0 else { return }
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
            let error = CollectiveError(operation: "finish", rank: rank, code: 0, reason: reason)
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

    private func send(_ values: Span<Float>, to peer: Int) throws(CollectiveError) {
        precondition(peer != rank && (0..<worldSize).contains(peer), "rank \(rank) exchanges with rank \(peer)")
        let channel = world.channel(from: rank, to: peer)
        try world.waitUntil(rank: rank, peer: peer, "exchange") { !channel.isFull }
        channel.values.replace(with: values)
        world.update { channel.isFull = true }
    }

    private func receive(into values: inout MutableSpan<Float>, from peer: Int) throws(CollectiveError) {
        let channel = world.channel(from: peer, to: rank)
        try world.waitUntil(rank: rank, peer: peer, "exchange") { channel.isFull }
        guard channel.values.count == values.count else {
            let reason = "rank \(peer) sent \(channel.values.count) elements, rank \(rank) expected \(values.count)"
            let error = CollectiveError(operation: "exchange", rank: rank, code: 0, reason: reason)
            world.breakWorld(rank: rank, error)
            throw error
        }
        for i in values.indices { values[i] = channel.values[i] }
        world.update { channel.isFull = false }
    }

    private func combine<Value: Comparable>(
        _ a: Value, _ b: Value, _ operation: ReductionOperation, sum: (Value, Value) -> Value
    ) -> Value {
        switch operation {
        case .sum: sum(a, b)
        case .minimum: b < a ? b : a
        case .maximum: b > a ? b : a
        }
    }
}

extension Array where Element: BitwiseCopyable {
    /// Makes this array a copy of `span`, in the storage that it has where that is large enough.
    fileprivate mutating func replace(with span: Span<Element>) {
        removeAll(keepingCapacity: true)
        span.withUnsafeBufferPointer { append(contentsOf: $0) }
    }
}
