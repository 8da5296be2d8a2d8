/// Where a run stands after a step.
package struct RunMoment: Sendable {
    /// The newest step.
    package var metrics = StepMetrics()
    /// Steps of the whole run.
    package var steps = 0
    /// The step's speed as a part of `RunCeiling`; nil where that was not measured.
    package var ceilingShare: Double?
    /// As of the newest log line; nil on one rank.
    package var slowest: SlowestRank?
    /// The step of the newest checkpoint.
    package var checkpointStep: Int?

    package init() {}
}
