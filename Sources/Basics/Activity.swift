import Glibc
import Synchronization

/// What this process is doing, told by whoever does it and read by the watchdog.
///
/// Atomics alone, so that telling costs nothing and nobody waits. One for the process: ranks that are threads of one
/// process share it, and have no watchdog.
package enum Activity {
    /// A part of a run that has a limit of its own.
    package enum Section: UInt8, CaseIterable, Sendable {
        case start, setup, firstStep, step, evaluation, save, sample, end
    }

    /// What the watchdog sees at one moment.
    package struct State: Equatable, Sendable {
        package var section = Section.start
        /// The optimizer step under way, or the newest one; 0 before the first.
        package var step = 0
        /// The gradient bucket whose sum over ranks is waited for; -1 for none.
        package var bucket = -1
        /// Whether a call that needs other ranks is under way.
        package var isWaiting = false
        /// Grows with each sign of progress.
        package var progress = 0

        package init(
            section: Section = .start, step: Int = 0, bucket: Int = -1, isWaiting: Bool = false, progress: Int = 0
        ) {
            self.section = section
            self.step = step
            self.bucket = bucket
            self.isWaiting = isWaiting
            self.progress = progress
        }
    }

    private static let section = Atomic<UInt8>(0)
    private static let step = Atomic<Int>(0)
    private static let bucket = Atomic<Int>(-1)
    private static let waits = Atomic<Int>(0)
    private static let progress = Atomic<Int>(0)
    private static let waited = Atomic<UInt64>(0)

    /// Begins a section, of this step or of the one before.
    package static func enter(_ newSection: Section, step newStep: Int? = nil) {
        section.store(newSection.rawValue, ordering: .relaxed)
        if let newStep { step.store(newStep, ordering: .relaxed) }
        goOn()
    }

    /// A sign of progress: whatever takes long gives one now and then.
    package static func goOn() { progress.add(1, ordering: .relaxed) }

    /// Names the bucket that is waited for; -1 for none.
    package static func turn(toBucket index: Int) { bucket.store(index, ordering: .relaxed) }

    /// Runs a call that may wait for other ranks. Its end is a sign of progress.
    package static func waiting<R, E: Error>(_ call: () throws(E) -> R) throws(E) -> R {
        let isOutermost = waits.add(1, ordering: .relaxed).oldValue == 0
        let start = now()
        defer {
            if isOutermost { waited.add(now() &- start, ordering: .relaxed) }
            waits.subtract(1, ordering: .relaxed)
            goOn()
        }
        return try call()
    }

    /// Nanoseconds that this process has spent in such calls so far: what its own work did not take.
    package static var waitedNanoseconds: UInt64 { waited.load(ordering: .relaxed) }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// This moment.
    package static var state: State {
        State(
            section: Section(rawValue: section.load(ordering: .relaxed)) ?? .start, step: step.load(ordering: .relaxed),
            bucket: bucket.load(ordering: .relaxed), isWaiting: waits.load(ordering: .relaxed) > 0,
            progress: progress.load(ordering: .relaxed))
    }
}
