/// Where a run's words go. Rank 0 has one that writes; the others have `SilentReporter`.
public protocol Reporter: AnyObject {
    /// A line of the log.
    func line(_ text: String)
    /// Something that the user should know of, while the run goes on.
    func warning(_ text: String)
    /// Where the run stands, for a live display.
    func progress(_ progress: RunProgress)
}

/// Says nothing.
public final class SilentReporter: Reporter {
    public init() {}
    public func line(_ text: String) {}
    public func warning(_ text: String) {}
    public func progress(_ progress: RunProgress) {}
}

/// Where a run stands.
public struct RunProgress: Sendable {
    /// Optimizer steps made, of how many.
    public var step: Int
    /// See `step`.
    public var steps: Int
    /// The newest step's loss.
    public var trainLoss: Double
    /// The newest step's speed over all ranks.
    public var tokensPerSecond: Double
    /// Seconds until the last step at this speed.
    public var secondsLeft: Double
}
