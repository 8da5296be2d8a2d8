import Basics

/// The line that rank 0 prints every `--log-interval` steps.
package struct LogLine {
    package var metrics: StepMetrics
    package var steps: Int
    /// Whether matmuls run in bf16.
    package var mixedPrecision: Bool
    /// Mean speed since the last line.
    package var tokensPerSecond: Double

    package init(metrics: StepMetrics, steps: Int, mixedPrecision: Bool, tokensPerSecond: Double) {
        self.metrics = metrics
        self.steps = steps
        self.mixedPrecision = mixedPrecision
        self.tokensPerSecond = tokensPerSecond
    }

    package var text: String {
        var parts = [
            "epoch \(metrics.epoch)", "step \(metrics.step) / \(steps)", "lr \(rateText(metrics.learningRate))",
            "train loss \(fixed(metrics.trainLoss, 4))",
        ]
        if let validationLoss = metrics.validationLoss {
            parts.append("val loss \(fixed(validationLoss, 4))")
            parts.append("val ppl \(fixed(exponential(validationLoss), 4))")
        }
        parts.append("amp \(mixedPrecision)")
        parts.append("\(fixed(tokensPerSecond, 0)) tok/s")
        return parts.joined(separator: "  ")
    }
}

/// A learning rate for people: six decimals, or an exponent where that would be digits without meaning.
package func rateText(_ rate: Double) -> String { rate.magnitude < 1e6 ? fixed(rate, 6) : "\(rate)" }
