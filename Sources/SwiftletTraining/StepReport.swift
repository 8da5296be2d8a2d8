internal import Checkpointing
internal import Training

/// The numbers of one step: a line of `metrics.jsonl`. They are the same on every rank, but for the speeds.
public struct StepReport: Sendable, Equatable {
    /// Updates made so far, this one included.
    public let step: Int
    /// From 1.
    public let epoch: Int
    /// The learning rate of the next update.
    public let learningRate: Double
    /// Tokens trained on since the run began, over all ranks.
    public let tokens: Int
    /// Mean loss a token over the global batch, in nats.
    public let trainLoss: Double
    /// Euclidean norm of the gradient before it is clipped.
    public let gradientNorm: Double
    /// Over all ranks.
    public let tokensPerSecond: Double
    /// How long the step took.
    public let milliseconds: Double
    /// Mean loss a token on the validation data, in nats, at the steps that evaluate.
    public let validationLoss: Double?

    init(_ metrics: StepMetrics) {
        step = metrics.step
        epoch = metrics.epoch
        learningRate = metrics.learningRate
        tokens = metrics.tokens
        trainLoss = metrics.measured.trainLoss
        gradientNorm = metrics.measured.gradientNorm
        tokensPerSecond = metrics.measured.tokensPerSecond
        milliseconds = metrics.measured.milliseconds
        validationLoss = metrics.validationLoss
    }
}

/// Hands what a run says to the program.
final class Listener: Reporter {
    private let log: (String) -> Void
    private let speaks: Bool
    var onStep: (StepReport) -> Void = { _ in }

    /// - Parameter speaks: whether this is the rank whose words count.
    init(speaks: Bool, log: @escaping (String) -> Void) {
        self.speaks = speaks
        self.log = log
    }

    func line(_ text: String) { if speaks { log(text) } }
    func warning(_ text: String) { if speaks { log("warning: " + text) } }
    func progress(_ moment: RunMoment) { onStep(StepReport(moment.metrics)) }
}
