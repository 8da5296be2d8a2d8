import Basics
import Optimization

/// Everything beside the tensors that a run needs to go on: `trainer_state.json`.
///
/// Nothing in it is needed to depend on the number of ranks; `worldSize` and `threadsPerRank` tell what was used.
package struct TrainerState: Equatable, Sendable {
    /// The optimizer's constants and its own step counter.
    package struct Optimizer: Equatable, Sendable {
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        package var weightDecay: Double
        package var gradientClip: Double
        /// Updates made, for Adam's bias correction.
        package var step: Int

        package init(
            beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, gradientClip: Double, step: Int
        ) {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
            self.gradientClip = gradientClip
            self.step = step
        }
    }

    /// What a validation loss is of; losses of two sets cannot be compared.
    package struct ValidationSet: Equatable, Sendable {
        /// A name for the contents of the validation data, as `TokenStream.identity` gives it.
        package var identity: String
        /// Sequences that are evaluated, spread evenly over the data.
        package var sequences: Int

        package init(identity: String, sequences: Int) {
            self.identity = identity
            self.sequences = sequences
        }
    }

    /// The numbers of the newest step where a stop came during its evaluation: they are logged when that is made up.
    package struct UnevaluatedStep: Equatable, Sendable {
        package var trainLoss: Double
        package var gradientNorm: Double
        package var tokensPerSecond: Double
        package var milliseconds: Double

        package init(trainLoss: Double, gradientNorm: Double, tokensPerSecond: Double, milliseconds: Double) {
            self.trainLoss = trainLoss
            self.gradientNorm = gradientNorm
            self.tokensPerSecond = tokensPerSecond
            self.milliseconds = milliseconds
        }
    }

    /// The version of this format that this program reads and writes.
    package static let currentFormatVersion = 1

    /// The version of the program that wrote it.
    package var swiftletVersion: String
    /// Optimizer updates made.
    package var step: Int
    /// The epoch that the next update's first sequence belongs to, from 0.
    package var epoch: Int
    /// Sequences consumed since the start of the run, over all ranks: the global position.
    package var position: Int
    /// Tokens trained on, over all ranks.
    package var tokensSeen: Int
    package var seed: UInt64
    package var shuffle: Bool
    /// Tokens of one sequence.
    package var contextLength: Int
    /// Sequences of one update, over all ranks.
    package var globalBatch: Int
    /// Sequences that a rank computes at once.
    package var microBatch: Int
    package var scheduler: SchedulerState
    package var optimizer: Optimizer
    /// `fp32` or `bf16`.
    package var precision: String
    /// `exact` or `mpi`.
    package var reduction: String
    package var threadsPerRank: Int
    /// Ranks of the run that saved it; nil when it is not to be part of the bytes.
    package var worldSize: Int?
    /// The effective options, in their order.
    package var configuration: OptionList
    /// Names for the contents of the training data, as `TokenStream.identity` gives them.
    package var dataIdentity: [String]
    /// SHA-256 of `tokenizer.json`, where the run has one.
    package var tokenizerHash: String?
    package var lastValidationLoss: Double?
    package var bestValidationLoss: Double?
    /// What both losses are of.
    package var validationSet: ValidationSet?
    /// Nil unless a stop came during an evaluation.
    package var unevaluatedStep: UnevaluatedStep?

    package init(
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
}

extension TrainerState {
    /// The bytes of `trainer_state.json`.
    package func json() -> [UInt8] {
        var members: [(String, JSONText)] = [
            ("format_version", .number(Self.currentFormatVersion)), ("swiftlet_version", .string(swiftletVersion)),
            ("step", .number(step)), ("epoch", .number(epoch)), ("position", .number(position)),
            ("tokens_seen", .number(tokensSeen)), ("seed", .number(seed)), ("shuffle", .bool(shuffle)),
            ("context_length", .number(contextLength)), ("global_batch", .number(globalBatch)),
            ("micro_batch", .number(microBatch)), ("scheduler", scheduler.json),
            (
                "optimizer",
                .object([
                    ("beta1", .number(optimizer.beta1)), ("beta2", .number(optimizer.beta2)),
                    ("epsilon", .number(optimizer.epsilon)), ("weight_decay", .number(optimizer.weightDecay)),
                    ("gradient_clip", .number(optimizer.gradientClip)), ("step", .number(optimizer.step)),
                ])
            ),
            ("precision", .string(precision)), ("reduction", .string(reduction)),
            ("threads_per_rank", .number(threadsPerRank)),
        ]
        if let worldSize { members.append(("world_size", .number(worldSize))) }
        members.append(("configuration", configuration.json))
        members.append(("data_identity", .array(dataIdentity.map { .string($0) })))
        if let tokenizerHash { members.append(("tokenizer_sha256", .string(tokenizerHash))) }
        if let lastValidationLoss { members.append(("last_validation_loss", .number(lastValidationLoss))) }
        if let bestValidationLoss { members.append(("best_validation_loss", .number(bestValidationLoss))) }
        if let set = validationSet {
            let value = [("identity", JSONText.string(set.identity)), ("sequences", .number(set.sequences))]
            members.append(("validation_set", .object(value)))
        }
        if let unevaluated = unevaluatedStep {
            let value = [
                ("train_loss", JSONText.number(unevaluated.trainLoss)),
                ("gradient_norm", .number(unevaluated.gradientNorm)),
                ("tokens_per_second", .number(unevaluated.tokensPerSecond)),
                ("milliseconds", .number(unevaluated.milliseconds)),
            ]
            members.append(("unevaluated_step", .object(value)))
        }
        return JSONText.object(members).pretty + [0x0A]
    }

    /// Reads `trainer_state.json` and checks that it is consistent; throws `.invalid` naming `file` and the value.
    package init(json bytes: [UInt8], file: String) throws(CheckpointError) {
        do {
            let json = try JSON(bytes, sizeLimit: Self.sizeLimit)
            try Self.checkVersion(json, file: file)
            try self.init(json)
            try scheduler.verify()
        } catch let error as CheckpointError {
            throw error
        } catch {
            throw CheckpointError(.invalid, "\(file): \(error)")
        }
        try checkConsistency(file: file)
    }

    private init(_ json: JSON) throws {
        let text: (JSON) -> String? = { $0.string }
        try self.init(
            swiftletVersion: json.string("swiftlet_version"), step: json.int("step"), epoch: json.int("epoch"),
            position: json.int("position"), tokensSeen: json.int("tokens_seen"),
            seed: json.member("seed", "a whole number of 0 or more") { $0.integer() },
            shuffle: json.bool("shuffle"), contextLength: json.int("context_length"),
            globalBatch: json.int("global_batch"), microBatch: json.int("micro_batch"),
            scheduler: json.nested("scheduler") { try SchedulerState($0) },
            optimizer: json.nested("optimizer") {
                Optimizer(
                    beta1: try $0.number("beta1"), beta2: try $0.number("beta2"), epsilon: try $0.number("epsilon"),
                    weightDecay: try $0.number("weight_decay"), gradientClip: try $0.number("gradient_clip"),
                    step: try $0.int("step"))
            },
            precision: json.string("precision"), reduction: json.string("reduction"),
            threadsPerRank: json.int("threads_per_rank"),
            worldSize: json.optional("world_size", "a whole number") { $0.int },
            configuration: json.nested("configuration") { try OptionList($0) },
            dataIdentity: json.member("data_identity", "an array of strings") { list in
                let texts = list.elements?.compactMap(text)
                return texts?.count == list.elements?.count ? texts : nil
            },
            tokenizerHash: json.optional("tokenizer_sha256", "a string", text),
            lastValidationLoss: json.optional("last_validation_loss", "a number") { $0.number },
            bestValidationLoss: json.optional("best_validation_loss", "a number") { $0.number },
            validationSet: json.optional("validation_set", "an object") { $0 }.map { _ in
                try json.nested("validation_set") {
                    ValidationSet(identity: try $0.string("identity"), sequences: try $0.int("sequences"))
                }
            },
            unevaluatedStep: json.optional("unevaluated_step", "an object") { $0 }.map { _ in
                try json.nested("unevaluated_step") {
                    UnevaluatedStep(
                        trainLoss: try $0.number("train_loss"), gradientNorm: try $0.number("gradient_norm"),
                        tokensPerSecond: try $0.number("tokens_per_second"),
                        milliseconds: try $0.number("milliseconds"))
                }
            })
    }

    /// The largest file that is read.
    static let sizeLimit = 16 << 20

    /// Other versions are named before anything else is looked at: their members may be other ones.
    static func checkVersion(_ json: JSON, file: String) throws(CheckpointError) {
        guard let version = json["format_version"]?.int else {
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
        try require(epoch <= position, "epoch", "\(epoch)", "at most the position \(position)")
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
package struct OptionList: Equatable, Sendable {
    /// One option.
    package struct Option: Equatable, Sendable {
        /// The name without its dashes.
        package let name: String
        /// The value as it would stand on a command line.
        package let value: String
    }

    /// The options in their order.
    package private(set) var options: [Option] = []

    package init() {}

    /// The value of an option, or nil.
    package subscript(name: String) -> String? { options.first { $0.name == name }?.value }

    /// Adds an option, or gives it another value in its place.
    package mutating func set(_ name: String, _ value: String) {
        let option = Option(name: name, value: value)
        if let place = options.firstIndex(where: { $0.name == name }) {
            options[place] = option
        } else {
            options.append(option)
        }
    }

    package var json: JSONText { .object(options.map { ($0.name, .string($0.value)) }) }

    init(_ json: JSON) throws(JSONError) {
        for (name, value) in json.members ?? [] {
            let name = String(decoding: name, as: UTF8.self)
            guard let text = value.string else { throw JSONError("\(name) is \(value.source), expected a string") }
            options.append(Option(name: name, value: text))
        }
    }
}
