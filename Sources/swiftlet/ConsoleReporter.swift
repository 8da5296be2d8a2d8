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

    func progress(_ metrics: StepMetrics, of steps: Int) {
        guard isLive else { return }
        if metrics.step == steps { return StandardStreams.clearProgress() }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < .milliseconds(200) { return }
        lastDrawn = now
        StandardStreams.showProgress(metrics.progress(of: steps))
    }
}
