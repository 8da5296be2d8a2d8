import Basics

/// Where a run's words go. Rank 0 has one that writes; the others have `SilentReporter`.
package protocol Reporter: AnyObject {
    /// A line of the log.
    func line(_ text: String)
    /// Something that the user should know of, while the run goes on.
    func warning(_ text: String)
    /// Where the run stands, for a live display.
    func progress(_ progress: RunProgress)
}

/// Says nothing.
package final class SilentReporter: Reporter {
    package init() {}
    package func line(_ text: String) {}
    package func warning(_ text: String) {}
    package func progress(_ progress: RunProgress) {}
}

/// Where a run stands.
package struct RunProgress: Sendable {
    /// Optimizer steps made, of how many.
    package var step: Int
    /// See `step`.
    package var steps: Int
    /// The newest step's loss.
    package var trainLoss: Double
    /// The newest step's speed over all ranks.
    package var tokensPerSecond: Double
    /// Seconds until the last step at this speed.
    package var secondsLeft: Double

    package init(step: Int, steps: Int, trainLoss: Double, tokensPerSecond: Double, secondsLeft: Double) {
        self.step = step
        self.steps = steps
        self.trainLoss = trainLoss
        self.tokensPerSecond = tokensPerSecond
        self.secondsLeft = secondsLeft
    }

    /// The live display: a bar of 30 blocks, and the numbers.
    package var text: String {
        let filled = steps > 0 ? 30 * step / steps : 30
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        return "\(bar) \(step)/\(steps)  loss \(fixed(trainLoss, 4))  "
            + "\(fixed(tokensPerSecond, 0)) tok/s  \(timeLeft) left"
    }

    private var timeLeft: String {
        guard secondsLeft.isFinite, secondsLeft < 1e7 else { return "?" }
        let total = Int(secondsLeft.rounded())
        let (hours, minutes) = (total / 3600, total / 60 % 60)
        return hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(total % 60) s" : "\(total) s"
    }
}
