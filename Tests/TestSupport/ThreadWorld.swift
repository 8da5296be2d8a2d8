import Basics
import Collectives

/// N ranks as threads of one process, for tests and for looking at N-rank behaviour in a debugger.
///
/// Reductions that `ExactAllReduce` makes have the same bits as under MPI, because both run the same code on the same
/// values. A rank that fails releases the others: their next collective throws, naming it. Ranks that call different
/// collectives, or leave while others wait, are an error too and not a hang.
package enum ThreadWorld {
    /// A rank called `abort(code:)`.
    package struct Aborted: ExitCoded, Equatable {
        /// The rank that called.
        package let rank: Int
        /// The code that it gave.
        package let exitCode: ExitCode

        package init(rank: Int, exitCode: ExitCode) {
            self.rank = rank
            self.exitCode = exitCode
        }

        package var description: String { "rank \(rank) aborted with exit code \(exitCode.rawValue)" }
    }

    /// Runs `body` on `worldSize` ranks and returns their results in rank order.
    ///
    /// - Throws: the error of the rank that failed first; `Aborted` when it called `abort(code:)`.
    package static func run<Value: Sendable>(
        worldSize: Int, stackSize: Int = 16 << 20, _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) throws -> [Value] {
        let world = World(size: worldSize)
        let outcomes = outcomes(in: world, stackSize: stackSize, body)
        if let first = world.firstFailure { throw first }
        return try outcomes.map { try $0.get() }
    }

    /// Runs `body` on `worldSize` ranks and returns what became of each, in rank order.
    package static func outcomes<Value: Sendable>(
        worldSize: Int, stackSize: Int = 16 << 20, _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) -> [Result<Value, any Error>] {
        outcomes(in: World(size: worldSize), stackSize: stackSize, body)
    }

    private static func outcomes<Value: Sendable>(
        in world: World, stackSize: Int, _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) -> [Result<Value, any Error>] {
        let slots = Slots<Value>(count: world.size)
        for rank in 0..<world.size {
            let started = startThread(stackSize: stackSize) {
                do {
                    slots.values[rank].set(.success(try body(ThreadCommunicator(rank: rank, world: world))))
                    world.leave(rank: rank, with: nil)
                } catch {
                    slots.values[rank].set(.failure(error))
                    world.leave(rank: rank, with: error)
                }
            }
            if !started {
                world.leave(
                    rank: rank,
                    with: CollectiveError(
                        operation: "start", rank: rank, reason: "the system has no resources for a thread",
                        exitCode: .internalError))
            }
        }
        let failures = world.waitUntilAllHaveLeft()
        return (0..<world.size).map { rank in
            // A rank that was parked by `abort` never came to store its outcome.
            slots.values[rank].value ?? .failure(failures[rank] ?? Aborted(rank: rank, exitCode: .internalError))
        }
    }

    /// Where the threads leave their outcomes; the world's lock orders the accesses.
    private final class Slots<Value: Sendable>: Sendable {
        let values: [Slot<Value>]

        init(count: Int) {
            values = (0..<count).map { _ in Slot() }
        }
    }

    private final class Slot<Value: Sendable>: @unchecked Sendable {
        private(set) var value: Result<Value, any Error>?

        func set(_ outcome: Result<Value, any Error>) { value = outcome }
    }
}

extension ThreadWorld {
    /// What the threads of one world share: the meeting point, and a desk for each rank where it puts its values for
    /// the others to read.
    ///
    /// Everything but the desks is guarded by the monitor. A desk is written by its owner before a meeting and read by
    /// the others between that meeting and the next.
    final class World: @unchecked Sendable {
        let size: Int
        let desks: [Desk]
        private let monitor = Monitor()
        private var calls: [Call?]
        private var arrived = 0
        private var generation = 0
        /// The meeting to which ranks came with different calls.
        private var mismatchedGeneration: Int?
        private var left: [Bool]
        private var failures: [(any Error)?]
        private var first: (rank: Int, error: any Error)?
        private let channels: [Channel]

        init(size: Int) {
            precondition(size >= 1, "a world of \(size) ranks")
            self.size = size
            desks = (0..<size).map { _ in Desk() }
            calls = Array(repeating: nil, count: size)
            left = Array(repeating: false, count: size)
            failures = Array(repeating: nil, count: size)
            channels = (0..<(size * size)).map { _ in Channel() }
        }

        /// The error of the rank that failed first.
        var firstFailure: (any Error)? { monitor.withLock { first?.error } }

        /// The way from one rank to another.
        func channel(from source: Int, to destination: Int) -> Channel { channels[source * size + destination] }

        /// Returns when every rank has come here with the same call.
        func meet(rank: Int, _ call: Call) throws(CollectiveError) {
            try monitor.withLock { () throws(CollectiveError) in
                try throwIfBroken(rank: rank, call.name)
                let mine = generation
                calls[rank] = call
                arrived += 1
                if arrived == size {
                    arrived = 0
                    generation += 1
                    if let other = (0..<size).first(where: { calls[$0] != call }) {
                        mismatchedGeneration = mine
                        let reason =
                            "the ranks called different collectives: rank \(rank) \(call), "
                            + "rank \(other) \(calls[other].map(String.init(describing:)) ?? "nothing")"
                        fail(rank: rank, CollectiveError(operation: call.name, rank: rank, reason: reason))
                    }
                    monitor.notifyAll()
                    try throwIfBroken(rank: rank, call.name)
                    return
                }
                while generation == mine {
                    try throwIfBroken(rank: rank, call.name)
                    if let gone = (0..<size).first(where: { left[$0] }) {
                        fail(
                            rank: gone,
                            CollectiveError(
                                operation: call.name, rank: rank,
                                reason: "rank \(gone) has ended while others wait for it"))
                        continue
                    }
                    monitor.wait()
                }
                // The last to arrive may have found that the calls differ. Another failure is the next call's business:
                // this meeting took place, and its values are whole.
                if mismatchedGeneration == mine { try throwIfBroken(rank: rank, call.name) }
            }
        }

        /// Returns when `condition` holds; it is evaluated with the lock held.
        func waitUntil(
            rank: Int, peer: Int, _ operation: String, _ condition: () -> Bool
        ) throws(CollectiveError) {
            try monitor.withLock { () throws(CollectiveError) in
                while !condition() {
                    try throwIfBroken(rank: rank, operation)
                    if left[peer] {
                        fail(
                            rank: peer,
                            CollectiveError(
                                operation: operation, rank: rank,
                                reason: "rank \(peer) has ended while rank \(rank) waits for it"))
                        continue
                    }
                    monitor.wait()
                }
            }
        }

        /// Throws when a rank has failed.
        func requireWhole(rank: Int, _ operation: String) throws(CollectiveError) {
            try monitor.withLock { () throws(CollectiveError) in try throwIfBroken(rank: rank, operation) }
        }

        /// Changes something that another rank may wait for.
        func update(_ change: () -> Void) {
            monitor.withLock {
                change()
                monitor.notifyAll()
            }
        }

        /// Marks the world as broken by this rank; every waiting rank is released.
        func breakWorld(rank: Int, _ error: any Error) {
            monitor.withLock { fail(rank: rank, error) }
        }

        /// This rank's thread makes no more calls.
        func leave(rank: Int, with error: (any Error)?) {
            monitor.withLock {
                left[rank] = true
                failures[rank] = error
                if let error { fail(rank: rank, error) }
                monitor.notifyAll()
            }
        }

        /// Waits for every rank's `leave` and returns the errors that they left with.
        func waitUntilAllHaveLeft() -> [(any Error)?] {
            monitor.withLock {
                while left.contains(false) { monitor.wait() }
                return failures
            }
        }

        private func fail(rank: Int, _ error: any Error) {
            if first == nil { first = (rank, error) }
            monitor.notifyAll()
        }

        private func throwIfBroken(rank: Int, _ operation: String) throws(CollectiveError) {
            guard let first else { return }
            if let own = first.error as? CollectiveError, own.operation == operation {
                throw CollectiveError(operation: operation, rank: rank, reason: own.reason)
            }
            throw CollectiveError(
                operation: operation, rank: rank, reason: "rank \(first.rank) has failed: \(first.error)")
        }
    }

    /// What a rank says when it arrives at a meeting; all ranks must say the same.
    struct Call: Equatable, CustomStringConvertible {
        var name: String
        var count = 0
        var root = 0

        var description: String { "\(name)(count \(count), root \(root))" }
    }

    /// A rank's values, for the others to read.
    final class Desk: @unchecked Sendable {
        /// Of `allReduce`.
        var numbers: Any = []
        var bytes: [UInt8] = []
    }

    /// What is on its way from one rank to another, guarded by the world's lock.
    final class Channel: @unchecked Sendable {
        var messages: [(key: MessageKey, values: [Float])] = []
        var sent: [Int: Int] = [:]
    }

    /// The n-th message of a tag is the n-th receive's, in whatever order they end.
    struct MessageKey: Equatable {
        let tag: Int
        let number: Int
    }

    /// The receives of one rank that have been started. Its own thread alone uses them.
    final class Receives: @unchecked Sendable {
        struct Receive {
            let memory: any ExchangeMemory
            let range: Range<Int>
            let peer: Int
            let key: MessageKey
        }

        var started: [Int: Receive] = [:]
        /// Sends that are not finished.
        var sends: [Int: (memory: ObjectIdentifier, range: Range<Int>)] = [:]
        var next = 0
        /// How many were started, by peer and tag.
        var counts: [[Int]: Int] = [:]
    }
}
