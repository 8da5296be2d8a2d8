/// The numbers of a line of `metrics.jsonl`. Raw values are their places in a scanned line, in the order in which
/// `train` writes them.
package enum MetricField: Int, CaseIterable, Sendable {
    case step, epoch, learningRate, trainLoss, gradientNorm, tokens, speed, milliseconds
    case muonLearningRate, sequenceLength, ceilingShare, validationLoss, validationPerplexity, validationBits

    /// The name in the file.
    package var name: String {
        switch self {
        case .step: "step"
        case .epoch: "epoch"
        case .learningRate: "lr"
        case .trainLoss: "train_loss"
        case .gradientNorm: "grad_norm"
        case .tokens: "tokens"
        case .speed: "tokens_per_second"
        case .milliseconds: "step_ms"
        case .muonLearningRate: "muon_lr"
        case .sequenceLength: "sequence_length"
        case .ceilingShare: "ceiling_share"
        case .validationLoss: "val_loss"
        case .validationPerplexity: "val_ppl"
        case .validationBits: "val_bpb"
        }
    }

    /// Those that are drawn over the steps.
    package static let charted: [MetricField] = [
        .trainLoss, .validationLoss, .learningRate, .muonLearningRate, .gradientNorm, .speed, .ceilingShare,
        .validationBits,
    ]
}
