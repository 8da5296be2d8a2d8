import Glibc
import Synchronization

/// The threads of one rank: the caller and `threadCount - 1` workers that live as long as the pool.
///
/// `run` splits work by thread number, never by who is free first, so results do not depend on timing.
/// Workers spin for a moment after each piece of work (the next kernel is microseconds away) and then sleep.
public final class ThreadPool: @unchecked Sendable {
    /// Threads that share the work, the caller included.
    public let threadCount: Int

    private let generation = Atomic<UInt32>(0)
    private let pending = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    // Not optional: an optional closure is stored behind a converter, which would be allocated at each call.
    private var work: (Int) -> Void = { _ in }
    private var threads: [pthread_t] = []

    /// Starts the workers.
    public init(threadCount: Int) {
        precondition(threadCount >= 1, "a pool needs at least one thread")
        self.threadCount = threadCount
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        useOneThreadInsideOneDNN()
        for index in 1..<max(threadCount, 1) {
            let start = Unmanaged.passRetained(WorkerStart(pool: self, index: index))
            var thread = pthread_t()
            let code = pthread_create(&thread, nil, { Unmanaged<WorkerStart>.takeAndRun($0) }, start.toOpaque())
            precondition(code == 0, "cannot start thread \(index) of a pool: error \(code)")
            threads.append(thread)
        }
    }

    /// Ends the workers. Without it they sleep until the process ends.
    public func shutdown() {
        stopping.store(true, ordering: .releasing)
        pthread_mutex_lock(mutex)
        generation.wrappingAdd(1, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    /// Calls `body` once for each thread number and returns when all are done.
    ///
    /// With more than one thread, Swift allocates some 50 bytes at each call to lend `body` to the workers.
    public func run(_ body: (Int) -> Void) {
        if threadCount == 1 { return body(0) }
        precondition(!threads.isEmpty, "the pool was shut down")
        withoutActuallyEscaping(body) { escaping in
            work = escaping
            pending.store(threadCount - 1, ordering: .relaxed)
            generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_broadcast(wake)
                pthread_mutex_unlock(mutex)
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
    public func split(_ count: Int, grain: Int = 1, _ body: (Int, Range<Int>) -> Void) {
        if threadCount == 1 { return body(0, 0..<count) }
        run { thread in
            let range = share(of: count, grain: grain, thread: thread)
            if !range.isEmpty { body(thread, range) }
        }
    }

    /// The range of 0 ..< `count` that `split` gives to a thread.
    public func share(of count: Int, grain: Int, thread: Int) -> Range<Int> {
        ThreadPool.share(of: count, grain: grain, part: thread, of: threadCount)
    }

    /// One of `parts` ranges that 0 ..< `count` is cut into; parts without work are the last ones.
    static func share(of count: Int, grain: Int, part: Int, of parts: Int) -> Range<Int> {
        let grains = (count + grain - 1) / grain
        // The first parts have one grain more where they do not divide.
        func start(_ part: Int) -> Int { min(count, (grains / parts * part + min(part, grains % parts)) * grain) }
        return start(part)..<start(part + 1)
    }

    fileprivate func workerLoop(_ index: Int) {
        useOneThreadInsideOneDNN()
        var seen: UInt32 = 0
        while true {
            var spins = 0
            while generation.load(ordering: .acquiring) == seen {
                spins += 1
                if spins > 20_000 {
                    sleep(until: seen)
                }
            }
            seen &+= 1
            if stopping.load(ordering: .acquiring) { return }
            work(index)
            pending.wrappingSubtract(1, ordering: .releasing)
        }
    }

    private func sleep(until seen: UInt32) {
        pthread_mutex_lock(mutex)
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while generation.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(wake, mutex) }
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
    }
}

private final class WorkerStart {
    let pool: ThreadPool
    let index: Int
    init(pool: ThreadPool, index: Int) {
        self.pool = pool
        self.index = index
    }
}

extension Unmanaged where Instance == WorkerStart {
    fileprivate static func takeAndRun(_ pointer: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let pointer else { return nil }
        let start = Unmanaged<WorkerStart>.fromOpaque(pointer).takeRetainedValue()
        start.pool.workerLoop(start.index)
        return nil
    }
}

/// oneDNN is built with OpenMP; our pool already has the threads, so each call must stay on its caller's.
private func useOneThreadInsideOneDNN() {
    typealias SetThreads = @convention(c) (Int32) -> Void
    guard let symbol = dlsym(nil, "omp_set_num_threads") else { return }
    unsafeBitCast(symbol, to: SetThreads.self)(1)
}
