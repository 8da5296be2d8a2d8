import Basics
import Synchronization
import Training

/// Rank 0's voice: the log on standard output, warnings and the live display on standard error.
///
/// Under mpirun standard output always looks like a terminal, so only standard error decides about the live display.
final class ConsoleReporter: Reporter, Sendable {
    /// How the live display is drawn.
    private enum Style {
        case none
        /// One line, without escape codes.
        case line
        /// Several lines, drawn in place.
        case block
    }

    private struct State {
        var display = RunDisplay()
        /// When it was drawn, of late.
        var draws: [ContinuousClock.Instant] = []
        var hasLostLines = false
        /// When the newest line of another stream was written.
        var saidAt: ContinuousClock.Instant?
        /// Whether it is there, and no line has taken it away.
        var isShown = false
        var isOver = false
    }

    /// Draws in any second at most.
    private static let drawsPerSecond = 5
    /// What lies between draws of news, so that draws are left for those after a line of the log.
    private static let rhythm = Duration.milliseconds(330)
    /// How long a line may take to a terminal that it reaches another way than what is drawn.
    private static let detour = Duration.milliseconds(100)
    private static let origin = ContinuousClock.now

    private let format: LogFormat
    private let style: Style
    private let state = Mutex(State())
    var isLive: Bool { style != .none }

    /// Without a display, for the commands that print a result.
    init() { (format, style) = (.text, .none) }

    /// - Parameters:
    ///   - alwaysLive: whether the display is shown where standard error is no terminal.
    ///   - format: of the log and of warnings.
    init(alwaysLive: Bool, format: LogFormat) {
        self.format = format
        style = StandardStreams.canShowBlock ? .block : alwaysLive || StandardStreams.canShowProgress ? .line : .none
        guard isLive else { return }
        WorkProgress.show { [weak self] work in
            self?.draw { $0.display.work = work?.text }
        }
    }

    func line(_ text: String) { event(.message(text)) }

    func event(_ event: RunEvent) {
        willSay()
        let lines = format == .json ? [event.json(time: currentTimestamp())] : event.lines
        do {
            // One write an event: nothing waits in a buffer when the process is killed.
            try StandardStreams.write(Array((lines.joined(separator: "\n") + "\n").utf8))
        } catch {
            // Training is worth more than its log, which metrics.jsonl has as well.
            let isFirst = state.withLock { state in
                defer { state.hasLostLines = true }
                return !state.hasLostLines
            }
            if isFirst { warning("\(error); training goes on") }
        }
        draw { _ in }
    }

    func warning(_ text: String) {
        willSay()
        StandardStreams.say(
            format == .json
                ? RunEvent.warning(text).json(time: currentTimestamp()) : "swiftlet: warning: \(text)")
    }

    func progress(_ moment: RunMoment) {
        draw { $0.display.add(moment, at: (ContinuousClock.now - Self.origin) / .seconds(1)) }
    }

    private func willSay() {
        if isLive { state.withLock { ($0.saidAt, $0.isShown) = (.now, false) } }
    }

    /// Takes the display away for good.
    func finish() {
        WorkProgress.show(on: nil)
        state.withLock { $0.isOver = true }
        if isLive { StandardStreams.clearProgress() }
    }

    /// Changes what is shown, and draws it unless that was done often enough just now.
    private func draw(after change: (inout State) -> Void) {
        guard isLive else { return }
        state.withLock { state in
            change(&state)
            guard !state.isOver, !state.display.isEmpty else { return }
            let now = ContinuousClock.now
            if StandardStreams.isScreenApart, let saidAt = state.saidAt, now - saidAt < Self.detour { return }
            if state.isShown, let newest = state.draws.last, now - newest < Self.rhythm { return }
            if state.draws.count == Self.drawsPerSecond {
                guard now - state.draws[0] >= .seconds(1) else { return }
                state.draws.removeFirst()
            }
            state.draws.append(now)
            state.isShown = true
            let columns = StandardStreams.terminalWidth()
            let lines =
                style == .block ? state.display.lines(columns: columns, coloured: StandardStreams.mayColour) : []
            // What the terminal has no room for would scroll away and could not be drawn over.
            let height = StandardStreams.terminalHeight()
            if style == .block, height == 0 || lines.count < height {
                StandardStreams.showBlock(lines)
            } else {
                StandardStreams.showProgress(state.display.line)
            }
        }
    }
}
