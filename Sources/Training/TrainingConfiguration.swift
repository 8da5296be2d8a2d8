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
    public var evalInterval = 10
    public var evalBatches = 20
    public var checkpointInterval = 100
    public var keep = 3
    public var fingerprintInterval = 100
    /// Stop and save after this step, as if asked to by a signal.
    public var stopAfter: Int?

    // Resume
    public var resume = Resume.auto
    public var extendSchedule = false
    public var rewarm: Int?

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

    /// The options that were set, by flag or file: they may contradict what a model directory says.
    public internal(set) var given: Set<String> = []

    /// The defaults.
    public init() {}

    /// The schedule that the options define.
    /// - Throws: `ScheduleError` naming the option.
    public func makeSchedule() throws(ScheduleError) -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: schedule, base: learningRate, warmupSteps: warmupSteps, totalSteps: steps, minimum: minLearningRate,
            decaySteps: decaySteps)
    }

    /// Checks what can be checked before files are opened and MPI is started.
    /// - Throws: `TrainingError` or `ScheduleError` (exit code 64) naming the option, its value and what was expected.
    public func validate() throws {
        guard !trainData.isEmpty else {
            throw TrainingError.usage(
                "--train-data is missing; give a pattern of token shards such as 'data/train_*.bin'")
        }
        guard !runDirectory.isEmpty else {
            throw TrainingError.usage("--run-dir is missing; give a directory for checkpoints and metrics")
        }
        func check(_ name: String, _ value: Int, atLeast least: Int) throws(TrainingError) {
            guard value >= least else { throw .usage("--\(name) is \(value), expected a whole number from \(least)") }
        }
        try check("layers", layers, atLeast: 1)
        try check("heads", heads, atLeast: 1)
        try check("embedding-size", embeddingSize, atLeast: 1)
        try check("context-length", contextLength, atLeast: 1)
        if let vocabularySize { try check("vocab-size", vocabularySize, atLeast: 2) }
        try check("micro-batch", microBatch, atLeast: 1)
        try check("global-batch", globalBatch, atLeast: 1)
        if let threads { try check("threads", threads, atLeast: 1) }
        try check("log-interval", logInterval, atLeast: 1)
        try check("eval-interval", evalInterval, atLeast: 1)
        try check("eval-batches", evalBatches, atLeast: 0)
        try check("checkpoint-interval", checkpointInterval, atLeast: 1)
        try check("keep", keep, atLeast: 1)
        try check("fingerprint-interval", fingerprintInterval, atLeast: 1)
        if let stopAfter { try check("stop-after", stopAfter, atLeast: 1) }
        if let rewarm { try check("rewarm", rewarm, atLeast: 1) }
        func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws(TrainingError) {
            guard value.isFinite, range.contains(value) else {
                throw .usage("--\(name) is \(value), expected a number from \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try check("weight-decay", weightDecay, 0...1e6)
        try check("beta1", beta1, 0...0.999_999_999)
        try check("beta2", beta2, 0...0.999_999_999)
        try check("epsilon", epsilon, 0...1)
        try check("grad-clip", gradClip, 0...1e30)
        guard embeddingSize % heads == 0 || initFrom != nil else {
            throw TrainingError.usage(
                "--embedding-size \(embeddingSize) is not a multiple of --heads \(heads); "
                    + "each head needs the same whole number of columns")
        }
        guard !(extendSchedule && rewarm != nil) else {
            throw TrainingError.usage("--extend-schedule and --rewarm exclude each other; give one of them")
        }
        _ = try makeSchedule()
    }
}
