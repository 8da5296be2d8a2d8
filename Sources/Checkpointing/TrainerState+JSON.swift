import Basics
import Optimization

extension TrainerState {
    /// The version of this format that this program reads and writes.
    package static let currentFormatVersion = 1
    /// The largest file that is read.
    static let sizeLimit = 16 << 20

    /// The bytes of `trainer_state.json`.
    package func json() -> [UInt8] {
        let members: [(String, JSONText?)] = [
            ("format_version", .number(Self.currentFormatVersion)), ("swiftlet_version", .string(swiftletVersion)),
            ("step", .number(step)), ("epoch", .number(epoch)), ("position", .number(position)),
            ("tokens_seen", .number(tokensSeen)), ("seed", .number(seed)), ("shuffle", .bool(shuffle)),
            ("context_length", .number(contextLength)), ("global_batch", .number(globalBatch)),
            ("micro_batch", .number(microBatch)), ("scheduler", scheduler.json), ("optimizer", optimizer.json),
            ("precision", .string(precision)), ("reduction", .string(reduction)),
            ("threads_per_rank", .number(threadsPerRank)), ("world_size", worldSize.map { .number($0) }),
            ("configuration", configuration.json), ("data_identity", .array(dataIdentity.map { .string($0) })),
            ("tokenizer_sha256", tokenizerHash.map { .string($0) }),
            ("last_validation_loss", lastValidationLoss.map { .number($0) }),
            ("best_validation_loss", bestValidationLoss.map { .number($0) }),
            ("best_validation_step", bestValidationStep.map { .number($0) }),
            ("evaluations_since_best", evaluationsSinceBest.map { .number($0) }),
            ("validation_set", validationSet?.json), ("unevaluated_step", unevaluatedStep?.json),
        ]
        return JSONText.object(members.compactMap { name, value in value.map { (name, $0) } }).pretty + [0x0A]
    }

    /// Reads `trainer_state.json` and checks that it is consistent; throws 65 naming `file` and the value.
    package init(json bytes: [UInt8], file: String) throws {
        let json = try naming(file) { try JSON(bytes, sizeLimit: Self.sizeLimit) }
        try Self.checkVersion(json, file: file)
        self = try naming(file) { try TrainerState(json) }
        try naming(file) {
            try scheduler.verify()
            try checkConsistency()
        }
    }

    /// Other versions are named before anything else is looked at: their members may be other ones.
    static func checkVersion(_ json: JSON, file: String) throws {
        guard let version = json["format_version"]?.int else {
            throw ExitError(.badInput, "\(file): format_version is missing, expected \(currentFormatVersion)")
        }
        guard version == currentFormatVersion else {
            throw ExitError(
                .badInput,
                "\(file) has format version \(version), this program reads \(currentFormatVersion); "
                    + "use the swiftlet that wrote it")
        }
    }

    private init(_ json: JSON) throws {
        swiftletVersion = try json.string("swiftlet_version")
        step = try json.whole("step")
        epoch = try json.whole("epoch")
        position = try json.whole("position")
        tokensSeen = try json.whole("tokens_seen")
        seed = try json.whole("seed")
        shuffle = try json.member("shuffle", "true or false") { $0.bool }
        contextLength = try json.whole("context_length", from: 1)
        globalBatch = try json.whole("global_batch", from: 1)
        microBatch = try json.whole("micro_batch", from: 1)
        scheduler = try json.nested("scheduler") { try SchedulerState($0) }
        optimizer = try json.nested("optimizer") { try Optimizer($0) }
        precision = try json.string("precision")
        reduction = try json.string("reduction")
        threadsPerRank = try json.whole("threads_per_rank", from: 1)
        worldSize = try json.optional("world_size", "a whole number of 1 or more") { $0.whole(from: 1) }
        configuration = try json.nested("configuration") { try OptionList($0) }
        dataIdentity = try json.member("data_identity", "an array of strings") { list in
            let texts = list.elements?.compactMap(\.string)
            return texts?.count == list.elements?.count ? texts : nil
        }
        tokenizerHash = try json.optional("tokenizer_sha256", "a string") { $0.string }
        lastValidationLoss = try json.optional("last_validation_loss", "a number") { $0.number }
        bestValidationLoss = try json.optional("best_validation_loss", "a number") { $0.number }
        bestValidationStep = try json.optional("best_validation_step", "a whole number of 1 or more") {
            $0.whole(from: 1)
        }
        evaluationsSinceBest = try json.optional("evaluations_since_best", "a whole number of 0 or more") {
            $0.whole(from: 0)
        }
        validationSet = try json.optional("validation_set", "an object") { try ValidationSet($0) }
        unevaluatedStep = try json.optional("unevaluated_step", "an object") { try StepMeasurement($0) }
    }

    /// What no member can be checked for alone.
    private func checkConsistency() throws(JSONError) {
        func require(_ condition: Bool, _ name: String, _ value: Int, _ expected: String) throws(JSONError) {
            if !condition {
                throw JSONError("\(name) is \(value), expected \(expected); the state is inconsistent")
            }
        }
        let last = LearningRateSchedule.largestStep
        try require(step <= last, "step", step, "0 to \(last)")
        try require(scheduler.step == step, "scheduler.step", scheduler.step, "the step \(step)")
        try require(optimizer.step == step, "optimizer.step", optimizer.step, "the step \(step)")
        try require(epoch <= position, "epoch", epoch, "at most the position \(position)")
        let (consumed, tooMany) = step.multipliedReportingOverflow(by: globalBatch)
        try require(
            !tooMany && position == consumed, "position", position, "step · global_batch, \(step) · \(globalBatch)")
        let (tokens, overflow) = position.multipliedReportingOverflow(by: contextLength)
        try require(
            !overflow && tokensSeen == tokens, "tokens_seen", tokensSeen,
            "position · context_length, \(position) · \(contextLength)")
        let best = bestValidationStep ?? 0
        try require(best <= step, "best_validation_step", best, "at most the step \(step)")
        // A step has one evaluation at most.
        let (since, steps) = (evaluationsSinceBest ?? 0, step - best)
        try require(since <= steps, "evaluations_since_best", since, "at most the steps since, \(steps)")
    }
}

extension TrainerState.Optimizer {
    fileprivate var json: JSONText {
        .object([
            ("beta1", .number(hyperparameters.beta1)), ("beta2", .number(hyperparameters.beta2)),
            ("epsilon", .number(hyperparameters.epsilon)), ("weight_decay", .number(hyperparameters.weightDecay)),
            ("gradient_clip", .number(gradientClip)), ("step", .number(step)),
        ])
    }

    fileprivate init(_ json: JSON) throws {
        func number(_ name: String) throws -> Double {
            try json.member(name, "a number of 0 or more") { $0.number.flatMap { $0 < 0 ? nil : $0 } }
        }
        hyperparameters.beta1 = try number("beta1")
        hyperparameters.beta2 = try number("beta2")
        hyperparameters.epsilon = try number("epsilon")
        hyperparameters.weightDecay = try number("weight_decay")
        gradientClip = try number("gradient_clip")
        step = try json.whole("step")
    }
}

extension TrainerState.ValidationSet {
    fileprivate var json: JSONText { .object([("identity", .string(identity)), ("sequences", .number(sequences))]) }

    fileprivate init(_ json: JSON) throws {
        identity = try json.string("identity")
        sequences = try json.whole("sequences")
    }
}

extension TrainerState.StepMeasurement {
    fileprivate var json: JSONText {
        .object([
            ("train_loss", .number(trainLoss)), ("gradient_norm", .number(gradientNorm)),
            ("tokens_per_second", .number(tokensPerSecond)), ("milliseconds", .number(milliseconds)),
        ])
    }

    fileprivate init(_ json: JSON) throws {
        trainLoss = try json.number("train_loss")
        gradientNorm = try json.number("gradient_norm")
        tokensPerSecond = try json.number("tokens_per_second")
        milliseconds = try json.number("milliseconds")
    }
}

/// What `body` makes of a file; any error becomes one of 65 with the file's name before it.
func naming<Value>(_ file: String, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch { throw ExitError(.badInput, "\(file): \(error)") }
}

extension JSON {
    fileprivate func whole<Value: FixedWidthInteger>(from least: Value) -> Value? {
        integer().flatMap { $0 < least ? nil : $0 }
    }

    fileprivate func whole<Value: FixedWidthInteger>(_ name: String, from least: Value = 0) throws -> Value {
        try member(name, "a whole number of \(least) or more") { $0.whole(from: least) }
    }
}
