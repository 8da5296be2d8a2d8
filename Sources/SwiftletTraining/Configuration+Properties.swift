internal import Basics
internal import Training

// The options that most programs set. Ranges are checked when a run begins.
extension Configuration {
    /// `run-dir`: the folder of checkpoints and metrics; empty until it is set, and a run needs one.
    public var runDirectory: String {
        get { self["run-dir"] ?? "" }
        set { give("run-dir", path: newValue) }
    }
    /// `train-data`: token shards, a path or a pattern; empty with data of the program's own.
    public var trainData: String {
        get { self["train-data"] ?? "" }
        set { give("train-data", path: newValue) }
    }
    /// `val-data`: token shards to evaluate on; empty: no evaluation.
    public var validationData: String {
        get { self["val-data"] ?? "" }
        set { give("val-data", path: newValue) }
    }
    /// `layers`: blocks of the model.
    public var layers: Int {
        get { options.layers }
        set { give("layers", \.layers, newValue) }
    }
    /// `heads`: attention heads.
    public var heads: Int {
        get { options.heads }
        set { give("heads", \.heads, newValue) }
    }
    /// `embedding-size`: the model's width.
    public var embeddingSize: Int {
        get { options.embeddingSize }
        set { give("embedding-size", \.embeddingSize, newValue) }
    }
    /// `context-length`: tokens of a sequence.
    public var contextLength: Int {
        get { options.contextLength }
        set { give("context-length", \.contextLength, newValue) }
    }
    /// `micro-batch`: sequences that a rank computes at once.
    public var microBatch: Int {
        get { options.microBatch }
        set { give("micro-batch", \.microBatch, newValue) }
    }
    /// `global-batch`: sequences of a step, over all ranks.
    public var globalBatch: Int {
        get { options.globalBatch }
        set { give("global-batch", \.globalBatch, newValue) }
    }
    /// `steps`: updates of the whole run.
    public var steps: Int {
        get { options.steps }
        set { give("steps", \.steps, newValue) }
    }
    /// `warmup-steps`: updates in which the learning rate grows.
    public var warmupSteps: Int {
        get { options.warmupSteps }
        set { give("warmup-steps", \.warmupSteps, newValue) }
    }
    /// `learning-rate`: its peak.
    public var learningRate: Double {
        get { options.learningRate }
        set { give("learning-rate", \.learningRate, newValue) }
    }
    /// `log-interval`: steps between lines of the log.
    public var logInterval: Int {
        get { options.logInterval }
        set { give("log-interval", \.logInterval, newValue) }
    }
    /// `eval-interval`: steps between evaluations.
    public var evalInterval: Int {
        get { options.evalInterval }
        set { give("eval-interval", \.evalInterval, newValue) }
    }
    /// `checkpoint-interval`: steps between checkpoints.
    public var checkpointInterval: Int {
        get { options.checkpointInterval }
        set { give("checkpoint-interval", \.checkpointInterval, newValue) }
    }
    /// `threads`: of a rank; nil: the allowed cores, shared by the ranks of the host.
    public var threads: Int? {
        get { options.threads }
        set { give("threads", \.threads, newValue) }
    }
    /// `seed`: of weights and sample order.
    public var seed: UInt64 {
        get { options.seed }
        set { give("seed", \.seed, newValue) }
    }

    private mutating func give<Value>(
        _ name: String, _ path: WritableKeyPath<TrainingConfiguration, Value>, _ value: Value
    ) {
        options[keyPath: path] = value
        options.namesGiven.insert(name)
    }

    /// An empty text takes a path back.
    private mutating func give(_ name: String, path: String) {
        guard !path.isEmpty else {
            unreadable[name] = nil
            options.namesGiven.remove(name)
            switch name {
            case "run-dir": options.runDirectory = ""
            case "train-data": options.trainData = ""
            default: options.validationData = nil
            }
            return
        }
        let isRead = TrainingConfiguration.option(name)?.read(&options, path) == true
        unreadable[name] = isRead ? nil : path
        if isRead { options.namesGiven.insert(name) }
    }
}
