/// Where a run's words go. Rank 0 has one that writes; the others have `SilentReporter`.
package protocol Reporter: AnyObject {
    /// A line of the log.
    func line(_ text: String)
    /// Something that the user should know of, while the run goes on.
    func warning(_ text: String)
    /// The newest step of a run of `steps`, for a live display.
    func progress(_ metrics: StepMetrics, of steps: Int)
}

extension Reporter {
    package func progress(_ metrics: StepMetrics, of steps: Int) {}
}

/// Says nothing.
package final class SilentReporter: Reporter {
    package init() {}
    package func line(_ text: String) {}
    package func warning(_ text: String) {}
}
