import Basics

/// The line that rank 0 prints every `--log-interval` steps.
package struct LogLine {
    package var metrics: StepMetrics
    package var steps: Int
    /// The newest evaluation's, if there was one.
    package var validationLoss: Double?
    /// Whether matmuls run in bf16.
    package var mixedPrecision: Bool
    /// Mean speed since the last line.
    package var tokensPerSecond: Double

    package init(
        metrics: StepMetrics, steps: Int, validationLoss: Double?, mixedPrecision: Bool, tokensPerSecond: Double
    ) {
        self.metrics = metrics
        self.steps = steps
        self.validationLoss = validationLoss
        self.mixedPrecision = mixedPrecision
        self.tokensPerSecond = tokensPerSecond
    }

    package var text: String {
        var parts = [
            "epoch \(metrics.epoch)", "step \(metrics.step) / \(steps)", "lr \(fixed(metrics.learningRate, 6))",
            "train loss \(fixed(metrics.trainLoss, 4))",
        ]
        if let validationLoss {
            parts.append("val loss \(fixed(validationLoss, 4))")
            parts.append("val ppl \(fixed(exponential(validationLoss), 4))")
        }
        parts.append("amp \(mixedPrecision)")
        parts.append("\(fixed(tokensPerSecond, 0)) tok/s")
        return parts.joined(separator: "  ")
    }
}
