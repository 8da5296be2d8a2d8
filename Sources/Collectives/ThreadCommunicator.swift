/// One rank of a `ThreadWorld`.
final class ThreadCommunicator: Communicator {
    let rank: Int
    let hostName: String
    private let world: ThreadWorld.World

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

    func barrier() throws(CollectiveError) {
        try world.meet(rank: rank, .init(name: "barrier"))
    }

    /// Marks the world as failed, which releases the other ranks, and stops this thread for good: the process and the
    /// other threads live on. What this thread held stays allocated.
    func abort(code: Int32) -> Never {
        world.leave(rank: rank, with: ThreadWorld.Aborted(rank: rank, exitCode: code))
        parkForever()
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
