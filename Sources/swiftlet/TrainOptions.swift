import ArgumentParser

/// The options of `train` as they stand on the command line; a missing one keeps the file's value or the default.
///
/// Types, ranges and defaults live in `TrainingConfiguration`; here are names and help alone.
struct TrainOptions: ParsableArguments {
    @Option(help: "Token shards to train on: a path or a quoted pattern such as 'data/train_*.bin'.")
    var trainData: String?
    @Option(help: "Token shards to evaluate on.")
    var valData: String?
    @Option(help: "Directory for checkpoints and metrics.")
    var runDir: String?

    @Option(help: "Transformer blocks (6).")
    var layers: String?
    @Option(help: "Attention heads (6).")
    var heads: String?
    @Option(help: "Width of the model (384).")
    var embeddingSize: String?
    @Option(help: "Tokens of one sequence (256).")
    var contextLength: String?
    @Option(help: "Vocabulary (default: that of the tokenizer beside the training data).")
    var vocabSize: String?
    @Option(help: "Hugging Face model directory to take shape and weights from.")
    var initFrom: String?

    @Option(help: "Sequences that a rank computes at once (8).")
    var microBatch: String?
    @Option(help: "Sequences of one optimizer step over all ranks (16).")
    var globalBatch: String?

    @Option(help: "Optimizer steps of the whole run (10000).")
    var steps: String?
    @Option(help: "Steps of linear warm-up (100).")
    var warmupSteps: String?
    @Option(help: "Peak learning rate (3e-4).")
    var learningRate: String?
    @Option(help: "Where the decay ends (0).")
    var minLearningRate: String?
    @Option(help: "cosine, linear, constant or wsd (cosine).")
    var schedule: String?
    @Option(help: "Steps of the final decay of wsd (a fifth of the steps).")
    var decaySteps: String?

    @Option(help: "Weight decay of tensors of two or more dimensions (0.1).")
    var weightDecay: String?
    @Option(help: "AdamW's decay of the first moment (0.9).")
    var beta1: String?
    @Option(help: "AdamW's decay of the second moment (0.95).")
    var beta2: String?
    @Option(help: "AdamW's epsilon (1e-8).")
    var epsilon: String?
    @Option(help: "Largest gradient norm; 0 turns clipping off (1.0).")
    var gradClip: String?

    @Option(help: "auto, fp32 or bf16 (auto: what is faster on this CPU).")
    var precision: String?
    @Option(help: "exact: same bits at any number of ranks; mpi: MPI_Allreduce (exact).")
    var reduction: String?
    @Option(help: "How the reduction goes on beside the backward pass: messages, none or thread (messages).")
    var overlap: String?
    @Option(help: "Threads of a rank (auto: allowed cores divided by local ranks).")
    var threads: String?

    @Option(help: "Steps between log lines (10).")
    var logInterval: String?
    @Option(help: "Steps between evaluations (10).")
    var evalInterval: String?
    @Option(help: "Micro-batches of an evaluation (20).")
    var evalBatches: String?
    @Option(help: "Steps between checkpoints (100).")
    var checkpointInterval: String?
    @Option(help: "Checkpoints to keep (3).")
    var keep: String?
    @Option(help: "Steps between comparisons of the ranks' weights (100).")
    var fingerprintInterval: String?
    @Option(help: "Save and stop after this step, as SIGUSR1 would.")
    var stopAfter: String?

    @Option(help: "auto (newest checkpoint that verifies, or a fresh start), never, or a checkpoint (auto).")
    var resume: String?
    @Flag(help: "Resume with a larger --steps: the same curve, stretched.")
    var extendSchedule = false
    @Option(help: "Resume with another schedule, entered by this many steps of warm-up.")
    var rewarm: String?

    @Option(help: "Seed of weights and sample order (1337).")
    var seed: String?
    @Flag(help: "Read the data in file order.")
    var noShuffle = false

    @Flag(help: "One rank: statistics of every layer, and an error that names the first one with a non-finite value.")
    var debug = false
    @Option(help: "Write a Chrome trace of three steps to this file.")
    var trace: String?
    @Flag(help: "Show the live display even when standard error is no terminal.")
    var progress = false

    /// Names and values of what was given, as text.
    var given: [(String, String)] {
        let texts: [(String, String?)] = [
            ("train-data", trainData), ("val-data", valData), ("run-dir", runDir), ("layers", layers),
            ("heads", heads), ("embedding-size", embeddingSize), ("context-length", contextLength),
            ("vocab-size", vocabSize), ("init-from", initFrom), ("micro-batch", microBatch),
            ("global-batch", globalBatch), ("steps", steps), ("warmup-steps", warmupSteps),
            ("learning-rate", learningRate), ("min-learning-rate", minLearningRate), ("schedule", schedule),
            ("decay-steps", decaySteps), ("weight-decay", weightDecay), ("beta1", beta1), ("beta2", beta2),
            ("epsilon", epsilon), ("grad-clip", gradClip), ("precision", precision), ("reduction", reduction),
            ("overlap", overlap),
            ("threads", threads), ("log-interval", logInterval), ("eval-interval", evalInterval),
            ("eval-batches", evalBatches), ("checkpoint-interval", checkpointInterval), ("keep", keep),
            ("fingerprint-interval", fingerprintInterval), ("stop-after", stopAfter), ("resume", resume),
            ("rewarm", rewarm), ("seed", seed), ("trace", trace),
        ]
        let flags = [
            ("extend-schedule", extendSchedule), ("no-shuffle", noShuffle), ("debug", debug), ("progress", progress),
        ]
        return texts.compactMap { name, text in text.map { (name, $0) } }
            + flags.filter(\.1).map { ($0.0, "true") }
    }
}
