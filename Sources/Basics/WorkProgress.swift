import Synchronization

/// How far long work is, told by whoever does it and shown by whoever has a terminal. As `Activity`, one for the process.
///
/// What knows that something takes long says what and how much it is (`during`). What moves bytes or tokens tells how
/// many, at the one place where they pass (`advance`). Where nobody shows it, telling costs one atomic load.
package enum WorkProgress {
    /// What is counted. Numbers of another unit than that of the work under way do not count for it.
    package enum Unit: UInt8, CaseIterable, Sendable {
        case bytesRead = 1, bytesWritten, bytesSent, bytesOfText, tokens, merges, parameters
    }

    /// One piece of work at one moment.
    package struct State: Equatable, Sendable {
        /// What is done, such as `saving step-00000100`.
        package let name: String
        /// How much there is to do; 0 where that is not known.
        package let total: Int
        package let unit: Unit
        /// How much is done.
        package var done = 0
        /// Since it began.
        package var seconds = 0.0

        package init(_ name: String, of total: Int, _ unit: Unit) {
            (self.name, self.total, self.unit) = (name, total, unit)
        }

        /// A line: what, how far, how fast, and how long at this speed.
        package var text: String {
            let (scale, label, rate) = unit.scale
            let reached = total > 0 ? min(done, total) : done
            // Small sizes would stand still without a decimal.
            let decimals = scale > 1 && Double(max(total, reached)) < 100 * scale ? 1 : 0
            func shown(_ count: Int) -> String { fixed(Double(count) / scale, decimals) }
            let speed = seconds > 0 ? Double(reached) / seconds : 0
            let fast = "\(fixed(speed / scale, scale > 1 && speed < 100 * scale ? 1 : 0)) \(rate)"
            guard total > 0 else { return "\(name)  \(shown(reached)) \(label)  \(fast)" }
            let left = speed > 0 ? timeText(Double(total - reached) / speed) : "?"
            return
                "\(name)  \(shown(reached)) / \(shown(total)) \(label)  \(Int(100 * Double(reached) / Double(total))) %"
                + "  \(fast)  \(left) left"
        }
    }

    /// Takes the state to show, or nil when it is to be taken away.
    package typealias Screen = @Sendable (State?) -> Void

    private struct Shared {
        var screen: Screen?
        /// What is over sooner is not shown, and what is shown changes no more often.
        var delay = Duration.zero
        var interval = Duration.zero
        var work: State?
        var start = ContinuousClock.now
        var shownAt: ContinuousClock.Instant?
    }

    private static let shared = Mutex(Shared())
    /// The unit of the work under way that is to be shown; 0 for none.
    private static let unit = Atomic<UInt8>(0)

    /// From now on what takes longer than `delay` is shown, every `interval`; nil ends it.
    package static func show(
        after delay: Duration = .milliseconds(500), every interval: Duration = .milliseconds(200), on screen: Screen?
    ) {
        shared.withLock {
            $0 = Shared(screen: screen, delay: delay, interval: interval)
            unit.store(0, ordering: .relaxed)
        }
    }

    /// Runs a piece of work of `total` units, 0 where that is not known. Work inside other work is a part of it.
    package static func during<R, E: Error>(
        _ name: @autoclosure () -> String, of total: @autoclosure () -> Int, _ unit: Unit, _ body: () throws(E) -> R
    ) throws(E) -> R {
        guard shared.withLock({ $0.screen != nil && $0.work == nil }) else { return try body() }
        let work = State(name(), of: total(), unit)
        shared.withLock {
            ($0.work, $0.start, $0.shownAt) = (work, .now, nil)
            Self.unit.store(unit.rawValue, ordering: .relaxed)
        }
        defer { end() }
        return try body()
    }

    private static func end() {
        let screen: Screen? = shared.withLock { shared in
            unit.store(0, ordering: .relaxed)
            shared.work = nil
            return shared.shownAt == nil ? nil : shared.screen
        }
        screen?(nil)
    }

    /// So many more units are done.
    package static func advance(_ count: Int, _ unit: Unit) {
        guard Self.unit.load(ordering: .relaxed) == unit.rawValue else { return }
        let news: (screen: Screen, state: State)? = shared.withLock { shared in
            guard let screen = shared.screen, shared.work?.unit == unit else { return nil }
            shared.work?.done += count
            let now = ContinuousClock.now
            guard now - shared.start >= shared.delay, shared.shownAt.map({ now - $0 >= shared.interval }) ?? true
            else { return nil }
            shared.shownAt = now
            shared.work?.seconds = (now - shared.start) / .seconds(1)
            return shared.work.map { (screen, $0) }
        }
        if let news { news.screen(news.state) }
    }
}

extension WorkProgress.Unit {
    /// How many make one that is shown, what these are called, and what so many a second are called.
    fileprivate var scale: (count: Double, label: String, rate: String) {
        switch self {
        case .bytesRead, .bytesWritten, .bytesSent, .bytesOfText: (1e6, "MB", "MB/s")
        case .tokens: (1, "tokens", "tok/s")
        case .merges: (1, "merges", "merges/s")
        case .parameters: (1e6, "million parameters", "million/s")
        }
    }
}
