import Basics

// The stored form, in `trainer_state.json`. Reading goes through the checking initializer, so a file cannot hold a
// schedule that flags could not ask for.

extension LearningRateSchedule {
    package var json: JSONText {
        var members: [(String, JSONText)] = [
            ("kind", .string(kind.rawValue)), ("base_learning_rate", .number(base)),
            ("warmup_steps", .number(warmupSteps)), ("total_steps", .number(totalSteps)),
            ("min_learning_rate", .number(minimum)), ("decay_steps", .number(decaySteps)),
        ]
        if let rewarm {
            members.append(
                (
                    "rewarm",
                    .object([
                        ("start", .number(rewarm.start)), ("steps", .number(rewarm.steps)),
                        ("from", .number(rewarm.from)),
                    ])
                ))
        }
        return .object(members)
    }

    /// - Throws: `JSONError` for a member that does not fit, `ScheduleError` for values that no schedule has.
    package init(_ json: JSON) throws {
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        try self.init(
            kind: json.member("kind", kinds) { $0.string.flatMap(Kind.init) },
            base: json.number("base_learning_rate"), warmupSteps: json.int("warmup_steps"),
            totalSteps: json.int("total_steps"), minimum: json.number("min_learning_rate"),
            decaySteps: json.int("decay_steps"),
            rewarm: json.optional("rewarm", "an object") { $0 }.map { _ in
                try json.nested("rewarm") {
                    Rewarm(start: try $0.int("start"), steps: try $0.int("steps"), from: try $0.number("from"))
                }
            })
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

    /// - Throws: as the schedule's, and `ScheduleError` where decimal and bits differ.
    package init(_ json: JSON) throws {
        let rate = try json.number("next_learning_rate")
        let bits = try json.string("next_learning_rate_bits")
        guard bits == Self.bits(rate) else {
            throw ScheduleError.corrupt(
                "next_learning_rate is \(rate), with the bits \(Self.bits(rate)), "
                    + "but next_learning_rate_bits is \(printable(bits, limit: 32))")
        }
        self.init(
            schedule: try json.nested("schedule") { try LearningRateSchedule($0) }, step: try json.int("step"),
            nextLearningRate: rate)
    }

    private static func bits(_ rate: Double) -> String { "0x" + hexadecimal(rate.bitPattern) }
}
