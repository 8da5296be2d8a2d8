import Collectives

/// Checks every operation of a communicator against results worked out without it. All ranks call it together; the same
/// checks run on threads and under mpirun.
package struct CollectiveChecks {
    /// A check that failed on this rank.
    package struct Failure: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    private let world: any Communicator
    private var size: Int { world.worldSize }
    /// Sizes with empty, tiny, uneven and larger than any chunk limit of the tests.
    private var counts: [Int] { [0, 1, size - 1, size, 17, 1000] }

    package init(_ communicator: any Communicator) {
        world = communicator
    }

    /// Runs them all.
    package func run() throws {
        try identity()
        try reductions { Float($0) }
        try reductions { Double($0) }
        try reductions { Int64(1) << 54 + Int64($0) }
        try broadcasts()
        try gathers()
        try transfers()
        try exactSums()
        try pipelinedSums()
        try world.barrier()
    }

    private func identity() throws {
        try require((0..<size).contains(world.rank), "rank \(world.rank) of \(size)")
        try require((0..<world.localSize).contains(world.localRank), "local \(world.localRank) of \(world.localSize)")
        try require(!world.hostName.isEmpty && !world.implementation.isEmpty, "a name is empty")
        let sum = try world.allReduce(Int64(world.rank), .sum)
        try require(sum == Int64(size * (size - 1) / 2), "the ranks add up to \(sum)")
    }

    /// Whole numbers, so that every order of additions gives the same sum; Int64 above 2^53, so that a detour over Double
    /// would show.
    private func reductions<Value: Reducible>(_ value: (Int) -> Value) throws {
        for count in counts {
            for operation in ReductionOperation.allCases {
                let all = (0..<size).map { rank in small(count, rank).map(value) }
                var values = all[world.rank]
                var span = values.mutableSpan
                try world.allReduce(&span, operation)
                let expected = (0..<count).map { index in reduce(all.map { $0[index] }, operation) }
                try require(values == expected, "allReduce of \(count) \(Value.self), \(operation)")
            }
        }
    }

    private func broadcasts() throws {
        for root in 0..<size {
            for count in counts {
                let expected = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 3 + root) }
                var bytes = world.rank == root ? expected : [UInt8](repeating: 255, count: count)
                var span = bytes.mutableSpan
                var raw = span.mutableBytes
                try world.broadcast(&raw, root: root)
                try require(bytes == expected, "broadcast of \(count) bytes from rank \(root)")
            }
            let text = try world.broadcast(message: world.rank == root ? "from rank \(root)" : "", root: root)
            try require(text == "from rank \(root)", "broadcast of a message gave \(text)")
        }
    }

    private func gathers() throws {
        for root in 0..<size {
            for scale in [0, 1, 400] {
                // Rank 0 has nothing to give.
                func bytes(_ rank: Int) -> [UInt8] {
                    (0..<rank * scale).map { UInt8(truncatingIfNeeded: $0 + rank) }
                }
                let gathered = try world.gather(bytes(world.rank), root: root)
                let expected = world.rank == root ? (0..<size).map(bytes) : []
                try require(gathered == expected, "gather at rank \(root)")
            }
        }
    }

    /// Several at once to and from each peer: messages of one tag keep their order whatever the order of the ends.
    private func transfers() throws {
        for round in 0..<size {
            let peer = (round - world.rank + size) % size
            guard peer != world.rank else { continue }
            for scale in [0, 1, 900] {
                func values(from: Int, tag: Int, index: Int) -> [Float] {
                    (0..<scale + index).map { Float($0 + 1000 * from + 100 * tag + 10 * index) }
                }
                var sends: [Transfer] = []
                var receives: [(transfer: Transfer, into: FixedFloats, expected: [Float])] = []
                // The receiver asks for tag 1 before tag 0.
                for tag in [1, 0] {
                    for index in 0..<2 {
                        let expected = values(from: peer, tag: tag, index: index)
                        let memory = FixedFloats([Float](repeating: -1, count: expected.count + 2))
                        let transfer = try world.startReceive(
                            into: memory, 1..<1 + expected.count, from: peer, tag: tag)
                        receives.append((transfer, memory, [-1] + expected + [-1]))
                    }
                }
                for tag in [0, 1] {
                    for index in 0..<2 {
                        let own = FixedFloats([-2] + values(from: world.rank, tag: tag, index: index))
                        sends.append(try world.startSend(own, 1..<own.values.count, to: peer, tag: tag))
                        receives.append((sends[sends.count - 1], own, own.values))
                    }
                }
                // Each ends while it is asked for, and is still to be finished.
                for receive in receives { while try !world.isOver(receive.transfer) {} }
                for receive in receives {
                    try require(try world.isOver(receive.transfer), "a transfer is over for good")
                }
                for receive in receives.reversed() { try world.finish(receive.transfer) }
                try require(receives.allSatisfy { $0.into.values == $0.expected }, "transfers with rank \(peer)")
            }
        }
    }

    private func pipelinedSums() throws {
        for count in [1, size, 1003] {
            // With every number of ranges under way: 1 and 2 wait for the oldest one at each start.
            for (interval, flights) in [(1, 16), (3, 16), (1000, 16), (1, 1), (3, 2)] {
                try require(
                    try Self.pipelinedSum(
                        count: count, bucket: 50, interval: interval, flights: flights, on: world
                    ).map(\.bitPattern) == canonicalSum(count),
                    "pipelined sum of \(count) elements differs from the canonical tree")
            }
        }
    }

    /// The sum over ranks of `CanonicalTree.values`, seeded with the rank, in buckets from the end, `interval` of them
    /// between two calls of `advance`.
    package static func pipelinedSum(
        count: Int, bucket: Int, interval: Int, flights: Int = 16, on world: any Communicator
    ) throws -> [Float] {
        let memory = FixedFloats(CanonicalTree.values(count: count, seed: UInt64(world.rank)))
        let pipeline = ExactAllReduce(memory, maximumCount: bucket, flights: flights, on: world)
        for (index, start) in stride(from: 0, to: count, by: bucket).reversed().enumerated() {
            if index % interval == 0 { try pipeline.advance() }
            try pipeline.start(start..<min(start + bucket, count))
        }
        try pipeline.finish()
        return memory.values
    }

    private func exactSums() throws {
        for count in [0, 1, size - 1, 17, 100_003] {
            try require(
                try Self.exactSum(count: count, on: world).map(\.bitPattern) == canonicalSum(count),
                "exact sum of \(count) elements differs from the canonical tree")
        }
    }

    /// The same sum in one range.
    package static func exactSum(count: Int, on world: any Communicator) throws -> [Float] {
        // More room than needed, and used twice: what an earlier call left behind must not matter.
        let values = CanonicalTree.values(count: count, seed: UInt64(world.rank))
        let memory = FixedFloats(values)
        let exact = ExactAllReduce(memory, maximumCount: count + 5, on: world)
        for _ in 0..<2 {
            memory.withMutableSpan(0..<count) { for i in $0.indices { $0[i] = values[i] } }
            try exact.start(0..<count)
            try exact.finish()
        }
        return memory.values
    }

    private func canonicalSum(_ count: Int) -> [UInt32] {
        CanonicalTree.sum((0..<size).map { CanonicalTree.values(count: count, seed: UInt64($0)) }).map(\.bitPattern)
    }

    /// Whole numbers from -5 to 5 that differ from rank to rank.
    private func small(_ count: Int, _ rank: Int) -> [Int] {
        (0..<count).map { ($0 * 7 + rank * 5) % 11 - 5 }
    }

    private func reduce<Value: Reducible>(_ values: [Value], _ operation: ReductionOperation) -> Value {
        values.dropFirst().reduce(values[0]) { a, b in
            switch operation {
            case .sum: a + b
            case .minimum: min(a, b)
            case .maximum: max(a, b)
            }
        }
    }

    private func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        if !condition {
            throw Failure(description: "check failed on rank \(world.rank) of \(size): \(what())")
        }
    }
}
