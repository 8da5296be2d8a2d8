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
}
