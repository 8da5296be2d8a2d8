import Basics
import Collectives

/// A thread that reduces buckets in the order in which they are submitted, while the backward pass goes on.
///
/// It makes the same blocking reductions as the caller's thread would, so the bits are the same.
final class OverlapLane: @unchecked Sendable {
    private let monitor = Monitor()
    private let rankSum: RankSum
    // All guarded by the monitor.
    private var queue: [Range<Int>] = []
    private var next = 0
    private var isBusy = false
    private var isStopped = false
    private var seconds = 0.0
    private var failure: CollectiveError?

    init(_ rankSum: RankSum) { self.rankSum = rankSum }

    /// Starts the thread, which keeps this object alive until `stop`.
    /// - Throws: `CollectiveError` (64) when the system has no resources for it.
    func start() throws(CollectiveError) {
        guard startThread(stackSize: 1 << 20, { self.work() }) else {
            throw CollectiveError(
                operation: "start", rank: rankSum.rank, code: 0,
                reason: "the system has no resources for a thread; use --overlap messages", exitCode: .usage)
        }
    }

    /// Hands a bucket over; after a failure it is dropped.
    func submit(_ bucket: Range<Int>) {
        monitor.withLock {
            guard failure == nil else { return }
            queue.append(bucket)
            monitor.notifyAll()
        }
    }

    /// Waits until all submitted buckets are reduced; returns the seconds inside collectives and the first error since
    /// the last call. After an error the rest of the queue is dropped.
    func drain() -> (seconds: Double, failure: CollectiveError?) {
        monitor.withLock {
            while isBusy || next < queue.count { monitor.wait() }
            queue.removeAll(keepingCapacity: true)
            next = 0
            defer {
                seconds = 0
                failure = nil
            }
            return (seconds, failure)
        }
    }

    /// Ends the thread once it is idle.
    func stop() {
        monitor.withLock {
            isStopped = true
            monitor.notifyAll()
        }
    }

    private func work() {
        while let bucket = take() {
            do throws(CollectiveError) {
                let elapsed = try rankSum.sum(bucket)
                finish(elapsed, nil)
            } catch {
                finish(0, error)
            }
        }
    }

    private func take() -> Range<Int>? {
        monitor.withLock {
            while next == queue.count && !isStopped { monitor.wait() }
            guard next < queue.count, !isStopped else { return nil }
            defer { next += 1 }
            isBusy = true
            return queue[next]
        }
    }

    private func finish(_ elapsed: Double, _ error: CollectiveError?) {
        monitor.withLock {
            isBusy = false
            seconds += elapsed
            if let error {
                failure = failure ?? error
                next = queue.count
            }
            monitor.notifyAll()
        }
    }
}
