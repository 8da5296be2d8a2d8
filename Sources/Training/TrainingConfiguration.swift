import Basics
import DataParallel
import Kernels
import Optimization
import Transformer

/// Everything that a training run can be told, with its defaults. Names and words are those of the command line.
package struct TrainingConfiguration: Equatable, Sendable {
    /// Where a run starts from.
    package enum Resume: Equatable, Sendable {
        /// The newest checkpoint of the run directory that verifies, or a fresh start.
        case auto
        /// A fresh start.
        case never
        /// This checkpoint.
        case path(FilePath)
    }

    // Data and output
    package var trainData: FilePath = ""
    package var validationData: FilePath?
    package var runDirectory: FilePath = ""

    // Model
    package var architecture = Architecture.gpt2
    package var layers = 6
    package var heads = 6
    /// Nil: as many as heads.
    package var keyValueHeads: Int?
    /// Nil: the embedding size divided by the heads.
    package var headSize: Int?
    package var embeddingSize = 384
    package var contextLength = 256
    /// Nil: the size of the tokenizer beside the training data.
    package var vocabularySize: Int?
    // Nil: as the architecture has them.
    package var innerSize: Int?
    package var activation: Activation?
    package var normEpsilon: Double?
    package var ropeTheta: Double?
    /// Nil: the logits as they are.
    package var softCap: Double?
    package var hasTiedHead = true
    /// A Hugging Face model directory to take shape and weights from.
    package var initFrom: FilePath?

    // Batch, in sequences
    package var microBatch = 8
    package var globalBatch = 16

    // Steps
    package var steps = 10_000
    package var warmupSteps = 100
    package var learningRate = 3e-4
    package var minLearningRate = 0.0
    package var schedule = LearningRateSchedule.Kind.cosine
    package var decaySteps: Int?
    /// The same as a part of the steps.
    package var decayShare: Double?
    /// Of wsd.
    package var decayShape = LearningRateSchedule.DecayShape.sqrt
    /// Nil: sequences are whole from the start.
    package var sequenceWarmup: SequenceWarmup?
    /// Nil: what is not given is the default.
    package var recipe: Recipe?

    // Optimizer
    package var optimizerKind = OptimizerKind.adamW
    /// AdamW's, also beside Muon.
    package var optimizer = AdamW.Hyperparameters()
    package var muon = Muon.Hyperparameters()
    package var muonLearningRate = 0.02
    /// Of Muon's products. Nil: bf16 where the CPU has instructions for it.
    package var muonPrecision: Precision?
    package var gradClip = 1.0
    package var dropout = 0.0
    // Nil: as `dropout`.
    package var embeddingDropout: Double?
    package var attentionDropout: Double?
    package var residualDropout: Double?

    // Precision and ranks
    /// Nil: measured at start.
    package var precision: Precision?
    package var reduction = ReductionMode.exact
    package var overlap = ReductionOverlap.messages
    /// Nil: allowed cores divided by ranks of the host.
    package var threads: Int?
    /// Whether activations are computed again in the backward pass.
    package var recompute = false

    // Rhythm, in steps
    package var logInterval = 10
    package var evalInterval = 100
    /// Nil: all there are.
    package var evalSequences: Int? = 160
    package var checkpointInterval = 100
    package var keep = 3
    /// Besides these the one of the lowest validation loss, which is saved when it is found.
    package var keepBest = false
    package var fingerprintInterval = 100
    /// Stop and save after this step, as if asked to by a signal.
    package var stopAfter: Int?
    /// End after so many evaluations in a row without a new lowest loss.
    package var stopAfterNoImprovement: Int?
    /// Steps between texts that the model writes; nil: none.
    package var sampleInterval: Int?
    /// What these begin with; nil: as a text begins.
    package var samplePrompt: String?
    /// Tokens of each.
    package var sampleTokens = 64
    /// Seconds without any progress after which a run ends with 76; 0: never.
    package var stepTimeout = 60

    // Resume
    package var resume = Resume.auto
    package var extendSchedule = false
    package var rewarm: Int?
    package var allowOtherTokenizer = false

    // Seed
    package var seed: UInt64 = 1337
    package var shuffle = true

    // Debug and display
    package var debug = false
    package var trace: FilePath?
    package var progress = false
    package var logFormat = LogFormat.text
    /// Whether event files for TensorBoard are written.
    package var hasEvents = true

    // A measured setting that no option changes, but `swiftlet bench` compares.
    /// Bytes of gradients that are reduced at a time; nil: as `GradientBuckets` says.
    package var bucketBytes: Int?

    package var namesGiven: Set<String> = []

    /// The defaults.
    package init() {}

    /// The schedule that the options define.
    /// - Throws: `ExitError` naming the option.
    package func makeSchedule() throws(ExitError) -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: schedule, base: learningRate, warmupSteps: warmupSteps, totalSteps: steps, minimum: minLearningRate,
            decaySteps: decaySteps, decayShare: decayShare, decayShape: decayShape,
            muonBase: optimizerKind == .muon ? muonLearningRate : nil)
    }

    /// What is dropped at each place.
    package var dropoutRates: DropoutRates {
        DropoutRates(
            embedding: embeddingDropout ?? dropout, attention: attentionDropout ?? dropout,
            residual: residualDropout ?? dropout)
    }

    /// Checks what can be checked before files are opened and MPI is started: that what must be given is, and that no two
    /// options exclude each other or lack another. Each value's own range was checked when it was set.
    /// - Throws: `ExitError` (exit code 64) naming the option and what to do.
    package func validate() throws(ExitError) {
        try requireAll()
        try validateChoices()
    }

    /// The same without asking whether all that must be given is.
    package func validateChoices() throws(ExitError) {
        guard !(extendSchedule && rewarm != nil) else {
            throw .usage("--extend-schedule and --rewarm exclude each other; give one of them")
        }
        for (flag, isGiven) in [
            ("--keep-best", keepBest), ("--stop-after-no-improvement", stopAfterNoImprovement != nil),
        ] where isGiven && validationData == nil {
            throw .usage("\(flag) goes by the validation loss; give --val-data, or leave it out")
        }
        for (flag, isGiven) in [
            ("--sample-prompt", samplePrompt != nil), ("--sample-tokens", sampleTokens != Self().sampleTokens),
        ] where isGiven && sampleInterval == nil {
            throw .usage("\(flag) is of the texts that --sample-interval asks for; give that too, or leave it out")
        }
    }

    /// Checks the numbers that options make together, once a checkpoint has said what was not given.
    /// - Throws: `ExitError` (exit code 64).
    package func validateTogether() throws {
        _ = try makeSchedule()
        try sequenceWarmup?.requireFit(contextLength: contextLength)
        let (sequences, tooMany) = steps.multipliedReportingOverflow(by: globalBatch)
        guard !tooMany, !sequences.multipliedReportingOverflow(by: contextLength).overflow else {
            throw ExitError.usage(
                "--steps \(steps) × --global-batch \(globalBatch) × --context-length \(contextLength) is more than "
                    + "\(Int.max) tokens; make one of them smaller")
        }
    }
}
