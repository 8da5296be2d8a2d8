import Optimization

/// Everything beside the tensors that a run needs to go on: `trainer_state.json`.
///
/// Nothing in it is needed to depend on the number of ranks; `worldSize` and `threadsPerRank` tell what was used.
public struct TrainerState: Codable, Equatable, Sendable {
    /// The optimizer's constants and its own step counter.
    public struct Optimizer: Codable, Equatable, Sendable {
        public var beta1: Double
        public var beta2: Double
        public var epsilon: Double
        public var weightDecay: Double
        public var gradientClip: Double
        /// Updates made, for Adam's bias correction.
        public var step: Int

        public init(
            beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, gradientClip: Double, step: Int
        ) {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
            self.gradientClip = gradientClip
            self.step = step
        }

        enum CodingKeys: String, CodingKey {
            case beta1, beta2, epsilon, step
            case weightDecay = "weight_decay"
            case gradientClip = "gradient_clip"
        }
    }

    /// What a validation loss is of; losses of two sets cannot be compared.
    public struct ValidationSet: Codable, Equatable, Sendable {
        /// A name for the contents of the validation data, as `TokenStream.identity` gives it.
        public var identity: String
        /// Sequences that are evaluated, spread evenly over the data.
        public var sequences: Int

        public init(identity: String, sequences: Int) {
            self.identity = identity
            self.sequences = sequences
        }
    }

    /// The numbers of the newest step where a stop came during its evaluation: they are logged when that is made up.
    public struct UnevaluatedStep: Codable, Equatable, Sendable {
        public var trainLoss: Double
        public var gradientNorm: Double
        public var tokensPerSecond: Double
        public var milliseconds: Double

        public init(trainLoss: Double, gradientNorm: Double, tokensPerSecond: Double, milliseconds: Double) {
            self.trainLoss = trainLoss
            self.gradientNorm = gradientNorm
            self.tokensPerSecond = tokensPerSecond
            self.milliseconds = milliseconds
        }

        enum CodingKeys: String, CodingKey {
            case milliseconds
            case trainLoss = "train_loss"
            case gradientNorm = "gradient_norm"
            case tokensPerSecond = "tokens_per_second"
        }
    }

    /// The version of this format that this program reads and writes.
    public static let currentFormatVersion = 1

    /// The version of the format.
    public var formatVersion = Self.currentFormatVersion
    /// The version of the program that wrote it.
    public var swiftletVersion: String
    /// Optimizer updates made.
    public var step: Int
    /// The epoch that the next update's first sequence belongs to, from 0.
    public var epoch: Int
    /// Sequences consumed since the start of the run, over all ranks: the global position.
    public var position: Int
    /// Tokens trained on, over all ranks.
    public var tokensSeen: Int
    public var seed: UInt64
    public var shuffle: Bool
    /// Tokens of one sequence.
    public var contextLength: Int
    /// Sequences of one update, over all ranks.
    public var globalBatch: Int
    /// Sequences that a rank computes at once.
    public var microBatch: Int
    public var scheduler: SchedulerState
    public var optimizer: Optimizer
    /// `fp32` or `bf16`.
    public var precision: String
    /// `exact` or `mpi`.
    public var reduction: String
    public var threadsPerRank: Int
    /// Ranks of the run that saved it; nil when it is not to be part of the bytes.
    public var worldSize: Int?
    /// The effective options, in their order.
    public var configuration: OptionList
    /// Names for the contents of the training data, as `TokenStream.identity` gives them.
    public var dataIdentity: [String]
    /// SHA-256 of `tokenizer.json`, where the run has one.
    public var tokenizerHash: String?
    public var lastValidationLoss: Double?
    public var bestValidationLoss: Double?
    /// What both losses are of.
    public var validationSet: ValidationSet?
    /// Nil unless a stop came during an evaluation.
    public var unevaluatedStep: UnevaluatedStep?

    public init(
        swiftletVersion: String, step: Int, epoch: Int, position: Int, tokensSeen: Int, seed: UInt64, shuffle: Bool,
        contextLength: Int, globalBatch: Int, microBatch: Int, scheduler: SchedulerState, optimizer: Optimizer,
        precision: String, reduction: String, threadsPerRank: Int, worldSize: Int? = nil,
        configuration: OptionList = OptionList(), dataIdentity: [String] = [], tokenizerHash: String? = nil,
        lastValidationLoss: Double? = nil, bestValidationLoss: Double? = nil,
        validationSet: ValidationSet? = nil, unevaluatedStep: UnevaluatedStep? = nil
    ) {
        self.swiftletVersion = swiftletVersion
        self.step = step
        self.epoch = epoch
        self.position = position
        self.tokensSeen = tokensSeen
        self.seed = seed
        self.shuffle = shuffle
        self.contextLength = contextLength
        self.globalBatch = globalBatch
        self.microBatch = microBatch
        self.scheduler = scheduler
        self.optimizer = optimizer
        self.precision = precision
        self.reduction = reduction
        self.threadsPerRank = threadsPerRank
        self.worldSize = worldSize
        self.configuration = configuration
        self.dataIdentity = dataIdentity
        self.tokenizerHash = tokenizerHash
        self.lastValidationLoss = lastValidationLoss
        self.bestValidationLoss = bestValidationLoss
        self.validationSet = validationSet
        self.unevaluatedStep = unevaluatedStep
    }

    enum CodingKeys: String, CodingKey {
        case step, epoch, position, seed, shuffle, scheduler, optimizer, precision, reduction, configuration
        case formatVersion = "format_version"
        case swiftletVersion = "swiftlet_version"
        case tokensSeen = "tokens_seen"
        case contextLength = "context_length"
        case globalBatch = "global_batch"
        case microBatch = "micro_batch"
        case threadsPerRank = "threads_per_rank"
        case worldSize = "world_size"
        case dataIdentity = "data_identity"
        case tokenizerHash = "tokenizer_sha256"
        case lastValidationLoss = "last_validation_loss"
        case bestValidationLoss = "best_validation_loss"
        case validationSet = "validation_set"
        case unevaluatedStep = "unevaluated_step"
    }
}

extension TrainerState {
    /// The bytes of `trainer_state.json`.
    public func json() throws -> [UInt8] { try JSONValue.encoding(self).bytes(pretty: true) }

    /// Reads `trainer_state.json` and checks that it is consistent; throws `.invalid` naming `file` and the value.
    public init(json: [UInt8], file: String) throws(CheckpointError) {
        do {
            let value = try JSONValue.parse(json)
            try Self.checkVersion(value, file: file)
            self = try value.decode(TrainerState.self)
            try scheduler.verify()
        } catch let error as CheckpointError {
            throw error
        } catch {
            throw CheckpointError(.invalid, "\(file): \(JSONValue.reason(of: error))")
        }
        try checkConsistency(file: file)
    }

    /// Other versions are named before anything else is looked at: their members may be other ones.
    static func checkVersion(_ value: JSONValue, file: String) throws(CheckpointError) {
        guard let version = value.object?["format_version"]?.int else {
            throw CheckpointError(.invalid, "\(file): format_version is missing, expected \(currentFormatVersion)")
        }
        guard version == currentFormatVersion else {
            throw CheckpointError(
                .invalid,
                "\(file) has format version \(version), this program reads \(currentFormatVersion); "
                    + "use the swiftlet that wrote it")
        }
    }

    private func checkConsistency(file: String) throws(CheckpointError) {
        func require(_ condition: Bool, _ name: String, _ value: String, _ expected: String) throws(CheckpointError) {
            guard condition else {
                throw CheckpointError(
                    .invalid,
                    "\(file): \(name) is \(value), expected \(expected); the state is inconsistent")
            }
        }
        let steps = 0...LearningRateSchedule.largestStep
        try require(steps.contains(step), "step", "\(step)", "0 to \(steps.upperBound)")
        try require(scheduler.step == step, "scheduler.step", "\(scheduler.step)", "the step \(step)")
        try require(optimizer.step == step, "optimizer.step", "\(optimizer.step)", "the step \(step)")
        for (name, value) in [
            ("epoch", epoch), ("position", position), ("tokens_seen", tokensSeen),
        ] { try require(value >= 0, name, "\(value)", "0 or more") }
        for (name, value) in [
            ("context_length", contextLength), ("global_batch", globalBatch), ("micro_batch", microBatch),
            ("threads_per_rank", threadsPerRank), ("world_size", worldSize ?? 1),
        ] { try require(value >= 1, name, "\(value)", "1 or more") }
        let (consumed, tooMany) = step.multipliedReportingOverflow(by: globalBatch)
        try require(
            !tooMany && position == consumed, "position", "\(position)",
            "step · global_batch, \(step) · \(globalBatch)")
        let (tokens, overflow) = position.multipliedReportingOverflow(by: contextLength)
        try require(
            !overflow && tokensSeen == tokens, "tokens_seen", "\(tokensSeen)",
            "position · context_length, \(position) · \(contextLength)")
        for (name, value) in [
            ("beta1", optimizer.beta1), ("beta2", optimizer.beta2), ("epsilon", optimizer.epsilon),
            ("weight_decay", optimizer.weightDecay), ("gradient_clip", optimizer.gradientClip),
        ] { try require(value.isFinite && value >= 0, "optimizer.\(name)", "\(value)", "a number of 0 or more") }
    }
}

/// Options and their values as text, in order. Stored as a JSON object.
public struct OptionList: Codable, Equatable, Sendable {
    /// One option.
    public struct Option: Equatable, Sendable {
        /// The name without its dashes.
        public let name: String
        /// The value as it would stand on a command line.
        public let value: String
    }

    /// The options in their order.
    public private(set) var options: [Option] = []

    public init() {}

    /// The value of an option, or nil.
    public subscript(name: String) -> String? { options.first { $0.name == name }?.value }

    /// Adds an option, or gives it another value in its place.
    public mutating func set(_ name: String, _ value: String) {
        let option = Option(name: name, value: value)
        if let place = options.firstIndex(where: { $0.name == name }) {
            options[place] = option
        } else {
            options.append(option)
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        for key in values.allKeys { set(key.stringValue, try values.decode(String.self, forKey: key)) }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        for option in options { try values.encode(option.value, forKey: Key(stringValue: option.name)) }
    }
}
