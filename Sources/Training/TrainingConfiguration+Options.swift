import Basics
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

/// The options of `train`. A new one is a property of `TrainingConfiguration` and a row here.
extension TrainingConfiguration: OptionSettings {
    package static let command = "train"

    package static let sections = [
        "Data and places", "Model", "Batch and schedule", "Optimizer", "Precision and ranks",
        "When to log, evaluate and save", "Resume", "Order, debugging and display",
    ]
    // None is also an option: `schedule: cosine` and a section are told apart by their names.
    package static let sectionNames = [
        "data", "model", "training", "optimization", "ranks", "logging", "resuming", "display",
    ]

    /// Counts of steps, up to the largest number that a checkpoint's name can hold.
    private static let steps = 1...LearningRateSchedule.largestStep
    private static let dropouts = 0...0.999
    private static let anySize = 0...Double.greatestFiniteMagnitude

    package static let options: [CommandOption<TrainingConfiguration>] = [
        .init(
            "train-data", \.trainData, .path, as: .place, required: true, section: 0,
            "Token shards to train on: a path or a quoted pattern such as 'data/train_*.bin'."),
        .init("val-data", \.validationData, .optional(.path), as: .place, section: 0, "Token shards to evaluate on."),
        .init(
            "run-dir", \.runDirectory, .path, as: .place, required: true, section: 0,
            "Directory for checkpoints and metrics."),
        .init(
            "init-from", \.initFrom, .optional(.path), as: .place, section: 0,
            "Hugging Face model directory or llm.c model file to take shape and first weights from."),

        .init(
            "architecture", \.architecture, .word, as: .identity, section: 1,
            "The family of the model, which says what the options below mean by default; modern is rotary, without biases, and "
                + "needs the fewest steps."),
        .init(
            "layers", \.layers, .whole(DecoderConfiguration.layerCounts), as: .identity, section: 1,
            "Transformer blocks."),
        .init(
            "heads", \.heads, .whole(DecoderConfiguration.headCounts), as: .identity, section: 1, "Attention heads."),
        .init(
            "kv-heads", \.keyValueHeads, .optional(.whole(DecoderConfiguration.headCounts)), as: .identity,
            otherwise: "as many as heads", section: 1, "Heads of keys and values, each shared by some heads."),
        .init(
            "head-size", \.headSize, .optional(.whole(DecoderConfiguration.headSizes)), as: .identity,
            otherwise: "the embedding size divided by the heads", section: 1, "Width of a head."),
        .init(
            "embedding-size", \.embeddingSize, .whole(DecoderConfiguration.embeddingSizes), as: .identity, section: 1,
            "Width of the model."),
        .init(
            "context-length", \.contextLength, .whole(DecoderConfiguration.contextLengths), as: .identity, section: 1,
            "Tokens of one sequence."),
        .init(
            "vocab-size", \.vocabularySize, .optional(.whole(DecoderConfiguration.vocabularySizes)), as: .identity,
            otherwise: "that of the tokenizer beside the training data", section: 1, "Number of token ids."),
        .init(
            "inner-size", \.innerSize, .optional(.whole(DecoderConfiguration.innerSizes)), as: .identity,
            otherwise: "four times the embedding size; where the MLP is gated 8/3 of it, up to a multiple of 64",
            section: 1, "Width of the MLP between its layers."),
        .init(
            "activation", \.activation, .optional(.word), as: .identity,
            otherwise: "gelu_new in gpt2, gelu in gpt-neox, relu2 in modern, else silu", section: 1,
            "What stands between these, under Hugging Face's names; gelu is the exact one, the other gelus GPT-2's by tanh; "
                + "relu2 is ReLU squared."),
        .init(
            "norm-epsilon", \.normEpsilon, .optional(.real(DecoderConfiguration.normEpsilons)), as: .identity,
            otherwise: "the architecture's", section: 1, "Added to the variance in every norm."),
        .init(
            "rope-theta", \.ropeTheta, .optional(.real(RotaryPositions.thetas)), as: .identity,
            otherwise: "the architecture's", section: 1, "Base of the angles of rotary positions."),
        .init(
            "soft-cap", \.softCap, .optional(.real(DecoderConfiguration.softCaps)), as: .identity, section: 1,
            "Keep logits z within this limit: cap · tanh(z / cap); of modern alone."),
        .init(
            "untied-head", \.hasTiedHead, .inverseFlag, as: .identity, section: 1,
            "Give the head weights of its own in place of the token embedding; gpt-neox has them anyway."),

        .init(
            "recipe", \.recipe, .optional(.word), section: 2,
            "A set of options that were tuned together, for a new run; those that are given count."),
        .init(
            "micro-batch", \.microBatch, .whole(BatchPlan.sizes), as: .tuning, section: 2,
            "Sequences that a rank computes at once."),
        .init(
            "global-batch", \.globalBatch, .whole(BatchPlan.sizes), as: .identity, section: 2,
            "Sequences of one optimizer step over all ranks."),
        .init("steps", \.steps, .whole(steps), as: .schedule, section: 2, "Optimizer steps of the whole run."),
        .init(
            "warmup-steps", \.warmupSteps, .whole(0...steps.upperBound), as: .schedule, section: 2,
            "Steps of linear warm-up."),
        .init("learning-rate", \.learningRate, .real(anySize), as: .schedule, section: 2, "Peak learning rate."),
        .init(
            "min-learning-rate", \.minLearningRate, .real(anySize), as: .schedule, section: 2, "Where the decay ends."),
        .init(
            "schedule", \.schedule, .word, as: .schedule, section: 2,
            "Shape of the curve after the warm-up; wsd (warm-up, stable, decay) stays at the peak and decays at the end."
        ),
        .init(
            "decay-steps", \.decaySteps, .optional(.whole(0...steps.upperBound)), as: .schedule,
            otherwise: "a fifth of the steps", section: 2, "Steps of the final decay of wsd."),
        .init(
            "decay-share", \.decayShare, .optional(.real(0...1)), as: .schedule, section: 2,
            "The same as a part of the steps, which a longer run keeps."),
        .init(
            "decay-shape", \.decayShape, .word, as: .schedule, section: 2,
            "How wsd decays: along a root, steep first, or in a straight line."),
        .init(
            "sequence-warmup", \.sequenceWarmup, .optional(.sequenceWarmup, or: "none"), as: .identity, section: 2,
            "Short sequences first: 64:0.25,128:0.5 cuts them into pieces of 64 tokens for a quarter of the steps and "
                + "of 128 up to the half; the tokens of a step stay the same ones."),

        .init(
            "optimizer", \.optimizerKind, .word, as: .identity, section: 3,
            "What updates the weights; muon: orthogonalised momentum for the matrices of the blocks, AdamW for all else."
        ),
        .init(
            "muon-learning-rate", \.muonLearningRate, .real(anySize), as: .schedule, section: 3,
            "Muon's peak learning rate, which follows the same schedule."),
        .init(
            "muon-momentum", \.muon.momentum, .real(0...0.999_999_999), as: .tuning, section: 3,
            "Muon's decay of the momentum."),
        .init(
            "muon-weight-decay", \.muon.weightDecay, .real(0...1e6), as: .tuning, section: 3,
            "Weight decay of Muon's matrices."),
        .init(
            "muon-precision", \.muonPrecision, .optional(.word, or: "auto"), as: .identity, section: 3,
            "Of the products that orthogonalise; auto: bf16 where the CPU has instructions for it."),
        .init(
            "weight-decay", \.optimizer.weightDecay, .real(0...1e6), as: .tuning, section: 3,
            "Weight decay of tensors of two or more dimensions."),
        .init(
            "beta1", \.optimizer.beta1, .real(0...0.999_999_999), as: .tuning, section: 3,
            "AdamW's decay of the first moment."),
        .init(
            "beta2", \.optimizer.beta2, .real(0...0.999_999_999), as: .tuning, section: 3,
            "AdamW's decay of the second moment."),
        .init("epsilon", \.optimizer.epsilon, .real(0...1), as: .tuning, section: 3, "AdamW's epsilon."),
        .init(
            "grad-clip", \.gradClip, .real(0...1e30), as: .tuning, section: 3,
            "Largest gradient norm; 0 turns clipping off."),
        .init(
            "dropout", \.dropout, .real(dropouts), as: .tuning, section: 3,
            "Part of the values that is dropped in training, of the embedding, of attention's weights, and of what attention and "
                + "MLP add to the stream: a function of seed, step and place."),
        .init(
            "embedding-dropout", \.embeddingDropout, .optional(.real(dropouts)), as: .tuning,
            otherwise: "that of --dropout", section: 3, "Of the embedding alone."),
        .init(
            "attention-dropout", \.attentionDropout, .optional(.real(dropouts)), as: .tuning,
            otherwise: "that of --dropout", section: 3, "Of attention's weights alone."),
        .init(
            "residual-dropout", \.residualDropout, .optional(.real(dropouts)), as: .tuning,
            otherwise: "that of --dropout", section: 3, "Of what attention and MLP add to the stream alone."),

        .init(
            "precision", \.precision, .optional(.word, or: "auto"), as: .identity, section: 4,
            "Of activations and matrix products; auto: what is faster on this CPU."),
        .init(
            "reduction", \.reduction, .word, as: .tuning, section: 4,
            "exact: the same bits on any number of ranks that has 1, 2, 4, 8, … micro-batches a rank, and on one; "
                + "mpi: MPI_Allreduce."),
        .init(
            "overlap", \.overlap, .word, section: 4, "How the reduction goes on beside the backward pass."),
        .init(
            "threads", \.threads, .optional(.whole(ThreadPlan.counts), or: "auto"), section: 4,
            "Threads of a rank; auto: its share of the allowed cores."),
        .init(
            "recompute", \.recompute, .flag, section: 4,
            "Keep each block's input alone and compute the rest again in the backward pass: less memory, the same bits."
        ),

        .init("log-interval", \.logInterval, .whole(steps), section: 5, "Steps between log lines."),
        .init("eval-interval", \.evalInterval, .whole(steps), section: 5, "Steps between evaluations."),
        .init(
            "eval-sequences", \.evalSequences, .optional(.whole(Evaluator.counts), or: "all"), section: 5,
            "Sequences of an evaluation, spread evenly over the validation data."),
        .renamed("eval-batches", to: "eval-sequences", "it counts sequences and not micro-batches"),
        .init("checkpoint-interval", \.checkpointInterval, .whole(steps), section: 5, "Steps between checkpoints."),
        .init("keep", \.keep, .whole(1...1_000_000), section: 5, "Checkpoints to keep."),
        .init(
            "keep-best", \.keepBest, .flag, section: 5,
            "Save at every new lowest validation loss, and keep that checkpoint besides."),
        .init(
            "fingerprint-interval", \.fingerprintInterval, .whole(steps), section: 5,
            "Steps between comparisons of the ranks' weights."),
        .init(
            "stop-after", \.stopAfter, .optional(.whole(steps)), section: 5,
            "Save and stop after this step, as SIGUSR1 would."),
        .init(
            "stop-after-no-improvement", \.stopAfterNoImprovement, .optional(.whole(steps)), section: 5,
            "Save and end after this many evaluations in a row without a new lowest loss."),
        .init(
            "sample-interval", \.sampleInterval, .optional(.whole(steps)), section: 5,
            "Steps between texts that the model writes, into the log and samples.jsonl; the last step has one too."),
        .init(
            "sample-prompt", \.samplePrompt, .optional(.text), otherwise: "as a text begins", section: 5,
            "What these texts begin with."),
        .init("sample-tokens", \.sampleTokens, .whole(1...10_000), section: 5, "Tokens of such a text."),
        .init(
            "step-timeout", \.stepTimeout, .whole(0...1_000_000), section: 5,
            "Seconds without any progress after which a run that hangs ends with 76; 0: never."),

        .init(
            "resume", \.resume, .resume, as: .place, section: 6,
            "auto (the newest checkpoint that verifies, or a fresh start), never, or a checkpoint."),
        .init(
            "extend-schedule", \.extendSchedule, .flag, section: 6,
            "Resume with a larger --steps: the same curve, stretched."),
        .init(
            "rewarm", \.rewarm, .optional(.whole(steps)), section: 6,
            "Resume with another schedule, entered by this many steps of warm-up."),
        .init(
            "allow-other-tokenizer", \.allowOtherTokenizer, .flag, section: 6,
            "Go on though the data was made with another tokenizer than the model's."),

        .init("seed", \.seed, .whole(0...UInt64.max), as: .identity, section: 7, "Seed of weights and sample order."),
        .init("no-shuffle", \.shuffle, .inverseFlag, as: .identity, section: 7, "Read the data in file order."),
        .init(
            "debug", \.debug, .flag, section: 7,
            "One rank: statistics of every layer's output and gradient, and an error that names the first one with a value that is not finite."
        ),
        .init(
            "trace", \.trace, .optional(.path), as: .place, section: 7,
            "Write a Chrome trace of three steps to this file."),
        .init(
            "progress", \.progress, .flag, as: .place, section: 7,
            "Show the live display even when standard error is no terminal."),
        .init(
            "log-format", \.logFormat, .word, as: .place, section: 7,
            "text: lines for people; json: each line of the log and each warning is one JSON object."),
        .init(
            "no-tensorboard", \.hasEvents, .inverseFlag, as: .place, section: 7,
            "Write no event files for TensorBoard into the run directory."),
    ]

    /// The options that all ranks must have alike.
    package var comparedOverRanks: [(name: String, value: String)] { values { $0 != .place } }

    /// The options that a checkpoint keeps; the scheduler's state has those of the schedule.
    package var keptInCheckpoints: [(name: String, value: String)] { values { $0 == .identity || $0 == .tuning } }
}

extension OptionValue<TrainingConfiguration.Resume> {
    fileprivate static var resume: OptionValue {
        OptionValue(
            form: OptionForm(
                placeholder: "auto|never|path", expected: "auto, never or a checkpoint directory", isPath: true),
            read: { text in
                switch text {
                case "": nil
                case "auto": .auto
                case "never": .never
                default: (try? FilePath(argument: text)).map { .path($0) }
                }
            },
            write: { resume in
                switch resume {
                case .auto: "auto"
                case .never: "never"
                case .path(let path): CommandLineText.decoding(path.bytes)
                }
            })
    }
}
