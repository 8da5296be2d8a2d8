import DataParallel
import Kernels
import Optimization

/// Everything that a training run can be told, with its defaults. Names and words are those of the command line.
public struct TrainingConfiguration: Equatable, Sendable {
    /// Where a run starts from.
    public enum Resume: Equatable, Sendable {
        /// The newest checkpoint of the run directory that verifies, or a fresh start.
        case auto
        /// A fresh start.
        case never
        /// This checkpoint.
        case path(String)
    }

    // Data and output
    public var trainData = ""
    public var validationData: String?
    public var runDirectory = ""

    // Model
    public var layers = 6
    public var heads = 6
    public var embeddingSize = 384
    public var contextLength = 256
    /// Nil: the size of the tokenizer beside the training data.
    public var vocabularySize: Int?
    /// A Hugging Face model directory to take shape and weights from.
    public var initFrom: String?

    // Batch, in sequences
    public var microBatch = 8
    public var globalBatch = 16

    // Steps
    public var steps = 10_000
    public var warmupSteps = 100
    public var learningRate = 3e-4
    public var minLearningRate = 0.0
    public var schedule = LearningRateSchedule.Kind.cosine
    public var decaySteps: Int?

    // Optimizer
    public var weightDecay = 0.1
    public var beta1 = 0.9
    public var beta2 = 0.95
    public var epsilon = 1e-8
    public var gradClip = 1.0

    // Precision and ranks
    /// Nil: measured at start.
    public var precision: Precision?
    public var reduction = ReductionMode.exact
    public var overlap = ReductionOverlap.messages
    /// Nil: allowed cores divided by ranks of the host.
    public var threads: Int?

    // Rhythm, in steps
    public var logInterval = 10
    public var evalInterval = 100
    /// Nil: all there are.
    public var evalSequences: Int? = 160
    public var checkpointInterval = 100
    public var keep = 3
    public var fingerprintInterval = 100
    /// Stop and save after this step, as if asked to by a signal.
    public var stopAfter: Int?
    /// Seconds without any progress after which a run ends with 76; 0: never.
    package var stepTimeout = 60

    // Resume
    public var resume = Resume.auto
    public var extendSchedule = false
    public var rewarm: Int?
    public var allowOtherTokenizer = false

    // Seed
    public var seed: UInt64 = 1337
    public var shuffle = true

    // Debug and display
    public var debug = false
    public var trace: String?
    public var progress = false

    // A measured setting that no option changes, but `swiftlet bench` compares.
    /// Bytes of gradients that are reduced at a time; nil: as `GradientBuckets` says.
    public var bucketBytes: Int?

    package var namesGiven: Set<String> = []

    /// The defaults.
    public init() {}

    /// The schedule that the options define.
    /// - Throws: `ScheduleError` naming the option.
    public func makeSchedule() throws(ScheduleError) -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: schedule, base: learningRate, warmupSteps: warmupSteps, totalSteps: steps, minimum: minLearningRate,
            decaySteps: decaySteps)
    }

    /// Checks what can be checked before files are opened and MPI is started: that what must be given is, and that no two
    /// options exclude each other. Each value's own range was checked when it was set.
    /// - Throws: `TrainingError` (exit code 64) naming the option and what to do.
    public func validate() throws(TrainingError) {
        try requireAll()
        guard !(extendSchedule && rewarm != nil) else {
            throw .usage("--extend-schedule and --rewarm exclude each other; give one of them")
        }
    }

    /// Checks the numbers that options make together, once a checkpoint has said what was not given.
    /// - Throws: `TrainingError` or `ScheduleError` (exit code 64).
    package func validateTogether() throws {
        _ = try makeSchedule()
        let (sequences, tooMany) = steps.multipliedReportingOverflow(by: globalBatch)
        guard !tooMany, !sequences.multipliedReportingOverflow(by: contextLength).overflow else {
            throw TrainingError.usage(
                "--steps \(steps) × --global-batch \(globalBatch) × --context-length \(contextLength) is more than "
                    + "\(Int.max) tokens; make one of them smaller")
        }
    }
}
