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
        try floatSums()
        try doubles()
        try integers()
        try broadcasts()
        try gathers()
        try exchanges()
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

    private func floatSums() throws {
        for count in counts {
            // Small whole numbers: every order of additions gives the same sum.
            var values = (0..<count).map { Float($0 % 100 + world.rank) }
            var span = values.mutableSpan
            try world.allReduceSum(&span)
            let expected = (0..<count).map { Float($0 % 100 * size + size * (size - 1) / 2) }
            try require(values == expected, "allReduceSum of \(count) elements")
        }
    }

    private func doubles() throws {
        for count in counts {
            for operation in ReductionOperation.allCases {
                let all = (0..<size).map { rank in small(count, rank).map { Double($0) } }
                var values = all[world.rank]
                var span = values.mutableSpan
                try world.allReduce(&span, operation)
                let expected = (0..<count).map { index in reduce(all.map { $0[index] }, operation, +) }
                try require(values == expected, "allReduce of \(count) Doubles, \(operation)")
            }
        }
    }

    private func integers() throws {
        for count in counts {
            for operation in ReductionOperation.allCases {
                // Above 2^53, so that a detour over Double would show.
                let large = Int64(1) << 54
                let all = (0..<size).map { rank in small(count, rank).map { large + Int64($0) } }
                var values = all[world.rank]
                var span = values.mutableSpan
                try world.allReduce(&span, operation)
                let expected = (0..<count).map { index in reduce(all.map { $0[index] }, operation, &+) }
                try require(values == expected, "allReduce of \(count) Int64, \(operation)")
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

    private func exchanges() throws {
        for round in 0..<size {
            let peer = (round - world.rank + size) % size
            guard peer != world.rank else { continue }
            for scale in [0, 1, 333] {
                func values(from: Int, to: Int) -> [Float] {
                    (0..<scale * (from + 1)).map { Float($0 + 1000 * from + 100 * to) }
                }
                let outgoing = values(from: world.rank, to: peer)
                let expected = values(from: peer, to: world.rank)

                var incoming = [Float](repeating: -1, count: expected.count)
                var span = incoming.mutableSpan
                try world.exchange(sending: outgoing.span, receiving: &span, with: peer)
                try require(incoming == expected, "exchange with rank \(peer)")

                var both = [-2] + outgoing + [-3] + [Float](repeating: -1, count: expected.count) + [-4]
                let sending = 1..<1 + outgoing.count
                let receiving = sending.upperBound + 1..<sending.upperBound + 1 + expected.count
                var all = both.mutableSpan
                try world.exchange(in: &all, sending: sending, receiving: receiving, with: peer)
                try require(
                    both == [-2] + outgoing + [-3] + expected + [-4], "exchange inside a buffer with rank \(peer)")
            }
        }
    }

    /// Several at once to and from each peer: messages of one tag keep their order whatever the order of the ends.
    private func transfers() throws {
        for round in 0..<size {
            let peer = (round - world.rank + size) % size
            guard peer != world.rank else { continue }
            for scale in [0, 1, 333] {
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
                for receive in receives.reversed() { try world.finish(receive.transfer) }
                try require(receives.allSatisfy { $0.into.values == $0.expected }, "transfers with rank \(peer)")
            }
        }
    }

    private func pipelinedSums() throws {
        guard PipelinedAllReduce.supports(worldSize: size) else { return }
        for count in [1, size, 1003] {
            // With every number of ranges under way: 1 and 2 wait for the oldest one at each start.
            for (interval, flights) in [(1, 16), (3, 16), (1000, 16), (1, 1), (3, 2)] {
                try require(
                    try Self.pipelinedSum(
                        count: count, bucket: 50, interval: interval, flights: flights, on: world
                    ).map(\.bitPattern)
                        == CanonicalTree.sum(
                            (0..<size).map { CanonicalTree.values(count: count, seed: UInt64($0)) }
                        ).map(\.bitPattern),
                    "pipelined sum of \(count) elements differs from the canonical tree")
            }
        }
    }

    /// The same sum in buckets from the end, `interval` of them between two calls of `advance`.
    package static func pipelinedSum(
        count: Int, bucket: Int, interval: Int, flights: Int = 16, on world: any Communicator
    ) throws -> [Float] {
        let memory = FixedFloats(CanonicalTree.values(count: count, seed: UInt64(world.rank)))
        let scratch = (0..<flights).map { _ in
            FixedFloats([Float](repeating: 0, count: (bucket + 1) / 2))
        }
        let pipeline = PipelinedAllReduce(memory, maximumCount: bucket, scratch: scratch, on: world)
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
                try Self.exactSum(count: count, on: world).map(\.bitPattern)
                    == CanonicalTree.sum(
                        (0..<size).map { CanonicalTree.values(count: count, seed: UInt64($0)) }
                    ).map(\.bitPattern),
                "exact sum of \(count) elements differs from the canonical tree")
        }
    }

    /// The exact sum over ranks of `CanonicalTree.values`, seeded with the rank.
    package static func exactSum(count: Int, on world: any Communicator) throws -> [Float] {
        // More room than needed, and used twice: what an earlier call left behind must not matter.
        let exact = ExactAllReduce(maximumCount: count + 5, worldSize: world.worldSize)
        var values: [Float] = []
        for _ in 0..<2 {
            values = CanonicalTree.values(count: count, seed: UInt64(world.rank))
            var span = values.mutableSpan
            try exact.sum(&span, on: world)
        }
        return values
    }

    /// Whole numbers from -5 to 5 that differ from rank to rank.
    private func small(_ count: Int, _ rank: Int) -> [Int] {
        (0..<count).map { ($0 * 7 + rank * 5) % 11 - 5 }
    }

    private func reduce<Value: Comparable>(
        _ values: [Value], _ operation: ReductionOperation, _ plus: (Value, Value) -> Value
    ) -> Value {
        values.dropFirst().reduce(values[0]) { a, b in
            switch operation {
            case .sum: plus(a, b)
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
