/// What rank 0 records of a run beside its checkpoints: metrics, samples.
package protocol RunRecord: AnyObject {
    /// A step is made (and evaluated, where it was).
    func append(_ metrics: StepMetrics)
    /// What the model wrote after a step.
    func append(_ sample: TextSample)
    /// Makes what was written durable, with a checkpoint.
    func synchronize()
}

/// What the model wrote at a step.
package struct TextSample: Equatable, Sendable {
    package var step = 0
    package var prompt = ""
    package var text = ""
    package init() {}
}
