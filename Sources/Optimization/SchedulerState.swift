import Basics

/// A schedule and the step it stands at. The step moves only with the optimizer's.
package struct LearningRateScheduler: Equatable, Sendable {
    /// The curve.
    package let schedule: LearningRateSchedule
    /// How many updates were made: the number, from 0, of the next one.
    package private(set) var step: Int

    /// - Precondition: `step` is not negative.
    package init(schedule: LearningRateSchedule, step: Int = 0) {
        precondition(step >= 0, "a scheduler has no step below 0")
        self.schedule = schedule
        self.step = step
    }

    /// The rate of the next update. After `advance()` this is the number of the log line.
    package var learningRate: Double { schedule.rate(at: step) }
    /// All rates of the next update.
    package var rates: LearningRates { LearningRates(adamW: learningRate, muon: schedule.muonRate(at: step)) }

    /// Counts one optimizer update.
    package mutating func advance() { step += 1 }

    /// What a checkpoint stores.
    package var state: SchedulerState { SchedulerState(schedule: schedule, step: step, nextLearningRate: learningRate) }
}

/// What a checkpoint holds of the scheduler: the definition, the step, and the rate that comes next, as a check.
package struct SchedulerState: Equatable, Sendable {
    /// The definition.
    package let schedule: LearningRateSchedule
    /// The number, from 0, of the next update.
    package let step: Int
    /// The rate of that update, as it was computed when the state was saved.
    package let nextLearningRate: Double

    package init(schedule: LearningRateSchedule, step: Int, nextLearningRate: Double) {
        (self.schedule, self.step, self.nextLearningRate) = (schedule, step, nextLearningRate)
    }

    /// Recomputes the rate from the definition and compares bit for bit (exit code 65 on a difference).
    package func verify() throws(ExitError) {
        guard (0...LearningRateSchedule.largestStep).contains(step) else {
            throw ExitError(
                .badInput,
                "the saved schedule cannot be used: step is \(step), expected 0 to \(LearningRateSchedule.largestStep); use "
                    + "another checkpoint")
        }
        // A program has its own function, and a file only its name.
        guard schedule.custom == nil || schedule.custom?.rate != nil else { return }
        let computed = schedule.rate(at: step)
        guard computed.bitPattern == nextLearningRate.bitPattern else {
            throw ExitError(
                .badInput,
                "the saved learning rate \(nextLearningRate) of step \(step) is not what the saved schedule gives, "
                    + "\(computed); the state is inconsistent, use another checkpoint")
        }
    }
}

// The stored form, in `trainer_state.json`. Reading goes through the checking initializer, so a file cannot hold a
// schedule that flags could not ask for.

extension LearningRateSchedule {
    package var json: JSONText {
        var members: [(String, JSONText)] =
            custom.map(customJSON) ?? [
                ("kind", .string(kind.rawValue)), ("base_learning_rate", .number(base)),
                ("warmup_steps", .number(warmupSteps)), ("total_steps", .number(totalSteps)),
                ("min_learning_rate", .number(minimum)), ("decay_steps", .number(decaySteps)),
            ]
        // Older files have none, and mean the root.
        if decayShape != .sqrt { members.append(("decay_shape", .string(decayShape.rawValue))) }
        if let decayShare { members.append(("decay_share", .number(decayShare))) }
        if let muonBase { members.append(("muon_learning_rate", .number(muonBase))) }
        if let rewarm {
            let (start, from) = (JSONText.number(rewarm.start), JSONText.number(rewarm.from))
            let muon = rewarm.muonFrom.map { [("muon_from", JSONText.number($0))] } ?? []
            let own = [("start", start), ("steps", .number(rewarm.steps)), ("from", from)] + muon
            members.append(("rewarm", .object(own)))
        }
        return .object(members)
    }

    private static func rewarm(_ json: JSON) throws -> Rewarm? {
        try json.optional("rewarm", "an object") { $0 }.map { _ in
            try json.nested("rewarm") {
                Rewarm(
                    start: try $0.int("start"), steps: try $0.int("steps"), from: try $0.number("from"),
                    muonFrom: try $0.optional("muon_from", "a number") { $0.number })
            }
        }
    }

    /// - Throws: `JSONError` for a member that does not fit, `ExitError` for values that no schedule has.
    package init(_ json: JSON) throws {
        let rewarm = try Self.rewarm(json)
        if let own = try Self.custom(json, rewarm: rewarm) {
            self = own
            return
        }
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let steps = try json.int("decay_steps")
        let share = try json.optional("decay_share", "a number") { $0.number }
        let shapes = DecayShape.allCases.map(\.rawValue).joined(separator: ", ")
        let shape = try json.optional("decay_shape", shapes) { $0.string.flatMap(DecayShape.init) }
        try self.init(
            kind: json.member("kind", kinds) { $0.string.flatMap(Kind.init) },
            base: json.number("base_learning_rate"), warmupSteps: json.int("warmup_steps"),
            totalSteps: json.int("total_steps"), minimum: json.number("min_learning_rate"),
            decaySteps: share == nil ? steps : nil, decayShare: share, decayShape: shape ?? .sqrt,
            muonBase: json.optional("muon_learning_rate", "a number") { $0.number },
            rewarm: rewarm)
        guard decaySteps == steps else {
            throw ExitError(
                .badInput,
                "the saved schedule cannot be used: decay_steps is \(steps), but a decay_share of \(share ?? 0) makes "
                    + "\(decaySteps); use another checkpoint")
        }
    }
}

extension SchedulerState {
    /// The rate is stored twice: as a decimal for people and as its 64 bits in hexadecimal; they must agree.
    package var json: JSONText {
        .object([
            ("schedule", schedule.json), ("step", .number(step)), ("next_learning_rate", .number(nextLearningRate)),
            ("next_learning_rate_bits", .string(Self.bits(nextLearningRate))),
        ])
    }

    /// - Throws: as the schedule's, and `ExitError` where decimal and bits differ.
    package init(_ json: JSON) throws {
        let rate = try json.number("next_learning_rate")
        let bits = try json.string("next_learning_rate_bits")
        guard bits == Self.bits(rate) else {
            throw ExitError(
                .badInput,
                "the saved schedule cannot be used: next_learning_rate is \(rate), with the bits \(Self.bits(rate)), but "
                    + "next_learning_rate_bits is \(printable(bits, limit: 32)); use another checkpoint")
        }
        self.init(
            schedule: try json.nested("schedule") { try LearningRateSchedule($0) }, step: try json.int("step"),
            nextLearningRate: rate)
    }

    private static func bits(_ rate: Double) -> String { "0x" + hexadecimal(rate.bitPattern) }
}
