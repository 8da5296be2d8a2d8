import Basics
import Training

/// Rank 0's voice: the log on standard output, warnings and the live display on standard error.
///
/// Under mpirun standard output always looks like a terminal, so only standard error decides about the live display.
final class ConsoleReporter: Reporter {
    private let isLive: Bool
    private var lastDrawn: ContinuousClock.Instant?
    private var hasLostLines = false

    init(alwaysLive: Bool) { isLive = alwaysLive || StandardStreams.canShowProgress }

    func line(_ text: String) {
        do {
            // One write a line: nothing waits in a buffer when the process is killed.
            try StandardStreams.write(Array((text + "\n").utf8))
        } catch {
            // Training is worth more than its log, which metrics.jsonl has as well.
            if !hasLostLines { warning("\(error); training goes on") }
            hasLostLines = true
        }
    }

    func warning(_ text: String) { StandardStreams.say("swiftlet: warning: \(text)") }

    func progress(_ progress: RunProgress) {
        guard isLive else { return }
        if progress.step == progress.steps { return StandardStreams.clearProgress() }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < .milliseconds(200) { return }
        lastDrawn = now
        let width = 30
        let filled = progress.steps > 0 ? width * progress.step / progress.steps : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        StandardStreams.showProgress(
            "\(bar) \(progress.step)/\(progress.steps)  loss \(fixed(progress.trainLoss, 4))  "
                + "\(fixed(progress.tokensPerSecond, 0)) tok/s  \(duration(progress.secondsLeft)) left")
    }

    private func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e7 else { return "?" }
        let total = Int(seconds.rounded())
        let (hours, minutes) = (total / 3600, total / 60 % 60)
        return hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(total % 60) s" : "\(total) s"
    }
}
