import Basics
import Foundation
import Training

/// Rank 0's voice: the log on standard output, warnings and the live display on standard error.
///
/// Under mpirun standard output always looks like a terminal, so only standard error decides about the live display.
final class ConsoleReporter: Reporter {
    private let isLive: Bool
    private var isShowing = false
    private var lastDrawn = Date.distantPast

    init(alwaysLive: Bool) { isLive = alwaysLive || isatty(STDERR_FILENO) == 1 }

    func line(_ text: String) {
        clear()
        // One write a line: nothing waits in a buffer when the process is killed.
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }

    func warning(_ text: String) {
        clear()
        try? FileHandle.standardError.write(contentsOf: Data("swiftlet: warning: \(text)\n".utf8))
    }

    func progress(_ progress: RunProgress) {
        let isLast = progress.step == progress.steps
        guard isLive, isLast || Date().timeIntervalSince(lastDrawn) > 0.2 else { return }
        lastDrawn = Date()
        if isLast { return clear() }
        let width = 30
        let filled = progress.steps > 0 ? width * progress.step / progress.steps : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        let text =
            "\(bar) \(progress.step)/\(progress.steps)  loss \(fixed(progress.trainLoss, 4))  "
            + "\(fixed(progress.tokensPerSecond, 0)) tok/s  \(duration(progress.secondsLeft)) left"
        try? FileHandle.standardError.write(contentsOf: Data("\r\u{1B}[K\(text)".utf8))
        isShowing = true
    }

    private func clear() {
        guard isShowing else { return }
        isShowing = false
        try? FileHandle.standardError.write(contentsOf: Data("\r\u{1B}[K".utf8))
    }

    private func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e7 else { return "?" }
        let total = Int(seconds.rounded())
        let (hours, minutes) = (total / 3600, total / 60 % 60)
        return hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(total % 60) s" : "\(total) s"
    }
}
