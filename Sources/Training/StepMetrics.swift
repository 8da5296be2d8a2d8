import Basics
import Checkpointing
import Glibc

/// One optimizer step's numbers, and the lines that they make.
package struct StepMetrics: Equatable, Sendable {
    /// From 1.
    package var step = 0
    /// From 1.
    package var epoch = 0
    /// The rate after the step's advance, as in the log line.
    package var learningRate = 0.0
    /// Muon's, in a run that has it.
    package var muonLearningRate: Double?
    /// Tokens trained on since the run began, this step's included.
    package var tokens = 0
    /// Loss, norm and speed.
    package var measured = TrainerState.StepMeasurement()
    /// Tokens that saw each other, in runs that begin with short sequences.
    package var sequenceLength: Int?
    /// Part of the tokens a second that the machine's products allow at best, where that was measured.
    package var ceilingShare: Double?
    /// On steps that evaluated.
    package var validationLoss: Double?
    /// The same in bits a byte of text, where it is known what a token stands for.
    package var validationBitsPerByte: Double?

    package init() {}

    /// The line of `metrics.jsonl`, without its newline. Numbers keep all their digits; one that is not finite becomes null.
    package var json: String { JSONText.object(members).text }

    /// The members of that line.
    var members: [(String, JSONText)] {
        var fields: [(String, JSONText)] = [
            ("step", .number(step)), ("epoch", .number(epoch)), ("lr", .number(learningRate)),
            ("train_loss", .number(measured.trainLoss)), ("grad_norm", .number(measured.gradientNorm)),
            ("tokens", .number(tokens)), ("tokens_per_second", .number(measured.tokensPerSecond)),
            ("step_ms", .number(measured.milliseconds)),
        ]
        if let muonLearningRate { fields.append(("muon_lr", .number(muonLearningRate))) }
        if let sequenceLength { fields.append(("sequence_length", .number(sequenceLength))) }
        if let ceilingShare { fields.append(("ceiling_share", .number(ceilingShare))) }
        if let validationLoss {
            fields += [("val_loss", .number(validationLoss)), ("val_ppl", .number(exponential(validationLoss)))]
        }
        if let validationBitsPerByte { fields.append(("val_bpb", .number(validationBitsPerByte))) }
        return fields
    }

    /// The line that rank 0 prints every `--log-interval` steps.
    /// - Parameters:
    ///   - steps: of the whole run.
    ///   - mixedPrecision: whether matmuls run in bf16.
    ///   - meanSpeed: tokens a second since the last line.
    package func logLine(of steps: Int, mixedPrecision: Bool, meanSpeed: Double) -> String {
        let validation = validationLoss.map { "  val loss \(fixed($0, 4))  val ppl \(fixed(exponential($0), 4))" }
        let loss = fixed(measured.trainLoss, 4)
        return "epoch \(epoch)  step \(step) / \(steps)  lr \(rateText(learningRate))  train loss \(loss)"
            + "\(validation ?? "")  amp \(mixedPrecision)  \(fixed(meanSpeed, 0)) tok/s"
    }
}

/// A learning rate for people: six decimals, or an exponent where that would be digits without meaning.
func rateText(_ rate: Double) -> String { rate.magnitude < 1e6 ? fixed(rate, 6) : "\(rate)" }

/// e^x, for perplexities.
func exponential(_ x: Double) -> Double { exp(x) }
