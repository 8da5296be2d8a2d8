/// What TensorBoard draws of a run. Raw values are the tags; their first word is the section that they are shown in.
package enum EventScalar: String, CaseIterable, Sendable {
    case trainLoss = "loss/train"
    case validationLoss = "loss/validation"
    case trainPerplexity = "perplexity/train"
    case validationPerplexity = "perplexity/validation"
    case trainBitsPerByte = "bits_per_byte/train"
    case validationBitsPerByte = "bits_per_byte/validation"
    case learningRate = "optimizer/learning_rate"
    case muonLearningRate = "optimizer/muon_learning_rate"
    case gradientNorm = "optimizer/gradient_norm"
    case tokensPerSecond = "speed/tokens_per_second"
    case milliseconds = "speed/step_ms"
    case ceilingShare = "speed/ceiling_share"
    case sequenceLength = "data/sequence_length"

    /// Its value in a step; nil where the step has none.
    /// - Parameter bytesPerToken: of the training data, where that is known.
    package func value(in metrics: StepMetrics, bytesPerToken: Double?) -> Double? {
        switch self {
        case .trainLoss: metrics.measured.trainLoss
        case .validationLoss: metrics.validationLoss
        case .trainPerplexity: exponential(metrics.measured.trainLoss)
        case .validationPerplexity: metrics.validationLoss.map(exponential)
        case .trainBitsPerByte:
            bytesPerToken.map { TokenBytes.bitsPerByte(metrics.measured.trainLoss, bytesPerToken: $0) }
        case .validationBitsPerByte: metrics.validationBitsPerByte
        case .learningRate: metrics.learningRate
        case .muonLearningRate: metrics.muonLearningRate
        case .gradientNorm: metrics.measured.gradientNorm
        case .tokensPerSecond: metrics.measured.tokensPerSecond
        case .milliseconds: metrics.measured.milliseconds
        case .ceilingShare: metrics.ceilingShare
        case .sequenceLength: metrics.sequenceLength.map(Double.init)
        }
    }
}
