import Basics
import Collectives
import TestSupport
import Testing

struct ThreadWorldTests {
    @Test(arguments: 1...8)
    func `Every operation gives the right values`(worldSize: Int) throws {
        let ranks = try ThreadWorld.run(worldSize: worldSize) { communicator in
            try CollectiveChecks(communicator).run()
            return communicator.rank
        }
        #expect(ranks == Array(0..<worldSize))
    }

    @Test func `A rank that throws releases the others and its error comes out`() {
        struct Broken: Error, Equatable {}
        let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
            try communicator.barrier()
            if communicator.rank == 2 { throw Broken() }
            try communicator.barrier()
        }
        for (rank, outcome) in outcomes.enumerated() {
            #expect(throws: (any Error).self) { try outcome.get() }
            guard rank != 2, case .failure(let error) = outcome else { continue }
            #expect((error as? CollectiveError)?.reason.contains("rank 2 has failed") == true)
        }
        #expect(throws: Broken()) {
            try ThreadWorld.run(worldSize: 4) { communicator in
                if communicator.rank == 2 { throw Broken() }
                var values: [Float] = [1]
                var span = values.mutableSpan
                try communicator.allReduce(&span, .sum)
            }
        }
    }

    @Test func `A rank that throws releases a peer that waits for a message`() {
        struct Broken: Error, Equatable {}
        #expect(throws: Broken()) {
            try ThreadWorld.run(worldSize: 2) { communicator in
                if communicator.rank == 1 { throw Broken() }
                let receive = try communicator.startReceive(into: FixedFloats([1]), 0..<1, from: 1, tag: 0)
                try communicator.finish(receive)
            }
        }
    }

    @Test func `Abort ends the world but not the process`() {
        #expect(throws: ThreadWorld.Aborted(rank: 1, exitCode: 79)) {
            try ThreadWorld.run(worldSize: 3) { communicator in
                if communicator.rank == 1 { communicator.abort(code: 79) }
                try communicator.barrier()
            }
        }
    }

    @Test func `A rank that returns while others wait is an error`() throws {
        let error = #expect(throws: CollectiveError.self) {
            try ThreadWorld.run(worldSize: 3) { communicator in
                if communicator.rank != 1 { try communicator.barrier() }
            }
        }
        #expect(error?.description.contains("rank 1 has ended") == true)
    }

    @Test func `Ranks in different collectives are an error`() throws {
        let error = #expect(throws: CollectiveError.self) {
            try ThreadWorld.run(worldSize: 2) { communicator in
                var values = [Float](repeating: 0, count: communicator.rank + 1)
                var span = values.mutableSpan
                try communicator.allReduce(&span, .sum)
            }
        }
        #expect(error?.description.contains("different collectives") == true)
        #expect(error?.exitCode == 76)
    }

    /// Repeated, because it takes a rank that wakes late to see the difference.
    @Test func `Every rank of a meeting with different calls has the error`() {
        for _ in 0..<200 {
            let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
                var values = [Double](repeating: 0, count: communicator.rank == 2 ? 2 : 1)
                var span = values.mutableSpan
                try communicator.allReduce(&span, .sum)
            }
            #expect(outcomes.allSatisfy { if case .failure(is CollectiveError) = $0 { true } else { false } })
        }
    }

    /// A rank that wakes late from a meeting that took place has its values, though others have failed since.
    @Test func `A failure after a collective leaves the collective whole`() {
        struct Broken: Error {}
        for _ in 0..<200 {
            let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
                try communicator.barrier()
                if communicator.rank < 3 { throw Broken() }
            }
            #expect(outcomes.prefix(3).allSatisfy { if case .failure(is Broken) = $0 { true } else { false } })
            #expect((try? outcomes[3].get()) != nil)
        }
    }

    @Test func `A message of another length is an error`() throws {
        let error = #expect(throws: CollectiveError.self) {
            try ThreadWorld.run(worldSize: 2) { communicator in
                let (memory, peer) = (FixedFloats([0, 0, 0]), 1 - communicator.rank)
                let send = try communicator.startSend(memory, 0..<1, to: peer, tag: 0)
                let receive = try communicator.startReceive(
                    into: memory, 1..<communicator.rank + 2, from: peer, tag: 0)
                try communicator.finish(receive)
                try communicator.finish(send)
            }
        }
        #expect(error?.description.contains("sent 1 elements") == true)
    }

    @Test func `A rank has at least 16 MB of stack`() throws {
        #expect(try ThreadWorld.run(worldSize: 2) { _ in deep(150) } == [150, 150])
    }
}

/// Uses 100 kB of stack a level and returns the depth; a thread with less stack crashes.
@inline(never)
private func deep(_ level: Int) -> Int {
    withUnsafeTemporaryAllocation(byteCount: 100_000, alignment: 16) { bytes in
        for page in stride(from: 0, to: 100_000, by: 1000) { bytes[page] = UInt8(truncatingIfNeeded: level) }
        let below = level == 0 ? 0 : deep(level - 1) + 1
        return bytes[1000] == UInt8(truncatingIfNeeded: level) ? below : -1
    }
}

struct SingleProcessTests {
    @Test func `Every collective leaves the values as they are`() throws {
        try CollectiveChecks(SingleProcess()).run()
        let world = SingleProcess()
        #expect(world.rank == 0 && world.worldSize == 1 && world.localRank == 0 && world.localSize == 1)
    }

    @Test func `Abort exits with the code`() async {
        await #expect(processExitsWith: .exitCode(79)) {
            SingleProcess().abort(code: 79)
        }
    }

    @Test func `A message to nobody is a bug`() async {
        await #expect(processExitsWith: .failure) {
            _ = try SingleProcess().startSend(FixedFloats([1]), 0..<1, to: 0, tag: 0)
        }
    }
}
