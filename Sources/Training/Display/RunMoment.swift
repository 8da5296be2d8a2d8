/// Where a run stands after a step.
package struct RunMoment: Sendable {
    /// The newest step.
    package var metrics = StepMetrics()
    /// Steps of the whole run.
    package var steps = 0
    /// As of the newest log line; nil on one rank.
    package var slowest: SlowestRank?
    /// The step of the newest checkpoint.
    package var checkpointStep: Int?

    package init() {}
}
