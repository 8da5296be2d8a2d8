import Glibc
import Synchronization

/// A lock and one condition: threads wait in it until another thread has changed something.
///
/// pthread objects must not move, so they live in the storage of a `ManagedBuffer`.
package final class Monitor: @unchecked Sendable {
    private let storage = ManagedBuffer<pthread_cond_t, pthread_mutex_t>.create(minimumCapacity: 1) { _ in .init() }

    package init() {
        storage.withUnsafeMutablePointers { condition, mutex in
            checked(pthread_mutex_init(mutex, nil))
            checked(pthread_cond_init(condition, nil))
        }
    }

    deinit {
        storage.withUnsafeMutablePointers { condition, mutex in
            checked(pthread_cond_destroy(condition))
            checked(pthread_mutex_destroy(mutex))
        }
    }

    /// Runs `body` with the lock held.
    package func withLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        storage.withUnsafeMutablePointerToElements { checked(pthread_mutex_lock($0)) }
        defer { storage.withUnsafeMutablePointerToElements { checked(pthread_mutex_unlock($0)) } }
        return try body()
    }

    /// Gives the lock up until `notifyAll`, then has it again. May wake for no reason: call it in a loop.
    /// - Precondition: inside `withLock`.
    package func wait() { storage.withUnsafeMutablePointers { checked(pthread_cond_wait($0, $1)) } }

    /// Wakes every waiting thread.
    package func notifyAll() {
        storage.withUnsafeMutablePointerToHeader { checked(pthread_cond_broadcast($0)) }
    }
}

private func checked(_ code: Int32) {
    precondition(code == 0, "a pthread call failed with code \(code)")
}

/// Starts a detached thread with at least this much stack.
/// - Returns: false when the system has no resources for another thread.
package func startThread(stackSize: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
    var attributes = pthread_attr_t()
    checked(pthread_attr_init(&attributes))
    defer { pthread_attr_destroy(&attributes) }
    checked(pthread_attr_setstacksize(&attributes, stackSize))
    checked(pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)))

    let context = Unmanaged.passRetained(ThreadBody(body))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, &attributes,
        { context in
            if let context { Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body() }
            return nil
        }, context.toOpaque())
    if code != 0 { context.release() }
    return code == 0
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Runs `body` on this thread and on `count` − 1 others, fewer where the system has no more, and waits for all.
package func runOnThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    let monitor = Monitor()
    let running = Atomic<Int>(0)
    for _ in 1..<count {
        running.add(1, ordering: .relaxed)
        let isStarted = startThread(stackSize: 8 << 20) {
            body()
            monitor.withLock {
                running.subtract(1, ordering: .relaxed)
                monitor.notifyAll()
            }
        }
        if !isStarted { running.subtract(1, ordering: .relaxed) }
    }
    body()
    monitor.withLock { while running.load(ordering: .relaxed) > 0 { monitor.wait() } }
}
