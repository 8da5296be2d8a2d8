import Basics
import Glibc
import Synchronization

/// The threads of one rank: the caller and `threadCount - 1` workers that live as long as the pool.
///
/// `run` splits work by thread number, never by who is free first, so results do not depend on timing.
/// Workers spin for a moment after each piece of work (the next kernel is microseconds away) and then sleep.
package final class ThreadPool: @unchecked Sendable {
    /// Threads that share the work, the caller included.
    package let threadCount: Int

    private let generation = Atomic<UInt32>(0)
    private let pending = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let monitor = Monitor()
    // Not optional: an optional closure is stored behind a converter, which would be allocated at each call.
    private var work: (Int) -> Void = { _ in }

    /// Bytes of a worker's stack.
    package static let stackSize = 2 << 20

    /// Starts the workers.
    /// - Throws: `KernelError` (64) when the system has no resources for one of them.
    package init(threadCount: Int) throws(KernelError) {
        precondition(threadCount >= 1, "a pool needs at least one thread")
        self.threadCount = threadCount
        useOneThreadInsideOneDNN()
        for index in 1..<threadCount {
            // A worker keeps the pool alive until `shutdown`.
            guard startThread(stackSize: Self.stackSize, { self.workerLoop(index) }) else {
                shutdown()
                throw KernelError(
                    description: "the system has no resources for thread \(index + 1) of \(threadCount); "
                        + "use a smaller --threads",
                    exitCode: .usage)
            }
        }
    }

    /// Ends the workers. Without it they sleep until the process ends.
    package func shutdown() {
        stopping.store(true, ordering: .releasing)
        monitor.withLock {
            generation.wrappingAdd(1, ordering: .releasing)
            monitor.notifyAll()
        }
    }

    /// Calls `body` once for each thread number and returns when all are done.
    ///
    /// With more than one thread, Swift allocates some 50 bytes at each call to lend `body` to the workers.
    package func run(_ body: (Int) -> Void) {
        if threadCount == 1 { return body(0) }
        precondition(!stopping.load(ordering: .relaxed), "the pool was shut down")
        withoutActuallyEscaping(body) { escaping in
            work = escaping
            pending.store(threadCount - 1, ordering: .relaxed)
            generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                monitor.withLock { monitor.notifyAll() }
            }
            escaping(0)
            var spins = 0
            while pending.load(ordering: .acquiring) > 0 {
                spins += 1
                if spins > 2_000 { sched_yield() }
            }
            work = { _ in }
        }
    }

    /// Cuts 0 ..< `count` into one range a thread, each a multiple of `grain` long but the last, and calls `body`.
    package func split(_ count: Int, grain: Int = 1, _ body: (Int, Range<Int>) -> Void) {
        if threadCount == 1 { return body(0, 0..<count) }
        run { thread in
            let range = ThreadPool.share(of: count, grain: grain, part: thread, of: threadCount)
            if !range.isEmpty { body(thread, range) }
        }
    }

    /// One of `parts` ranges that 0 ..< `count` is cut into; parts without work are the last ones.
    package static func share(of count: Int, grain: Int, part: Int, of parts: Int) -> Range<Int> {
        let grains = (count + grain - 1) / grain
        // The first parts have one grain more where they do not divide.
        func start(_ part: Int) -> Int { min(count, (grains / parts * part + min(part, grains % parts)) * grain) }
        return start(part)..<start(part + 1)
    }

    private func workerLoop(_ index: Int) {
        useOneThreadInsideOneDNN()
        var seen: UInt32 = 0
        while true {
            var spins = 0
            while generation.load(ordering: .acquiring) == seen {
                spins += 1
                if spins > 20_000 { sleep(until: seen) }
            }
            seen &+= 1
            if stopping.load(ordering: .acquiring) { return }
            work(index)
            pending.wrappingSubtract(1, ordering: .releasing)
        }
    }

    private func sleep(until seen: UInt32) {
        monitor.withLock {
            sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
            while generation.load(ordering: .sequentiallyConsistent) == seen { monitor.wait() }
            sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }
}

/// oneDNN is built with OpenMP; our pool already has the threads, so each call must stay on its caller's.
private func useOneThreadInsideOneDNN() {
    typealias SetThreads = @convention(c) (Int32) -> Void
    guard let symbol = dlsym(nil, "omp_set_num_threads") else { return }
    unsafeBitCast(symbol, to: SetThreads.self)(1)
}
