import Basics

/// A learning rate of a program's own, in place of the curves of `LearningRateSchedule.Kind`. Checkpoints keep its name
/// alone: what it computes is the program's, which gives it again at a resume.
package struct CustomSchedule: Equatable, Sendable {
    /// What checkpoints and messages call it.
    package let name: String
    /// The rate of update number k, from 0; nil in a schedule that was read from a checkpoint.
    package let rate: (@Sendable (Int) -> Double)?

    /// - Parameter rate: the same function at every call and on every rank.
    package init(name: String, rate: (@Sendable (Int) -> Double)?) {
        self.name = name
        self.rate = rate
    }

    /// Two of one name are taken to be one; a resume compares their rates.
    package static func == (a: CustomSchedule, b: CustomSchedule) -> Bool { a.name == b.name }

    /// The word in the place of a kind's, which no option takes.
    static let word = "custom"
}

extension LearningRateSchedule {
    /// The same run with another curve: all that stays of this one are its peak, which Muon's rate is a part of, its
    /// steps, and a second warm-up. Nil keeps this curve.
    package func following(_ custom: CustomSchedule?) throws(ExitError) -> LearningRateSchedule {
        guard let custom else { return self }
        var schedule = try LearningRateSchedule(
            kind: .constant, base: base, warmupSteps: 0, totalSteps: totalSteps, muonBase: muonBase, rewarm: rewarm)
        schedule.custom = custom
        return schedule
    }

    /// What the curve is, for people.
    package var kindText: String { custom.map { "\(CustomSchedule.word) '\(printable($0.name))'" } ?? kind.rawValue }

    /// As `resuming`, where this curve or the saved one is a program's own.
    func resumingCustom(_ saved: SchedulerState, change: ScheduleChange) throws(ExitError) -> LearningRateScheduler {
        let old = saved.schedule
        let isSame = custom == old.custom && custom != nil
        if case .rewarm(let steps) = change {
            let isRepeated =
                isSame && old.rewarm?.steps == steps && old.options.elementsEqual(options, by: { $0 == $1 })
            let muonFrom = old.muonBase.map { old.base > 0 ? $0 * saved.nextLearningRate / old.base : 0 }
            let fresh = Rewarm(start: saved.step, steps: steps, from: saved.nextLearningRate, muonFrom: muonFrom)
            let schedule = try with(totalSteps: totalSteps, rewarm: isRepeated ? old.rewarm : fresh)
            return LearningRateScheduler(schedule: schedule, step: saved.step)
        }
        guard isSame else {
            throw ExitError(
                .usage,
                "the checkpoint has the schedule \(old.kindText), asked for is \(kindText); resume with the saved one, "
                    + "which a program's own must give again, or enter this one with --rewarm N")
        }
        let isLonger = change == .extend && totalSteps > old.totalSteps
        guard totalSteps == old.totalSteps || isLonger else {
            throw ExitError(
                .usage,
                "--steps is \(totalSteps), the checkpoint has \(old.totalSteps); give a larger one with "
                    + "--extend-schedule, or enter another schedule with --rewarm N")
        }
        let schedule = try with(totalSteps: totalSteps, rewarm: old.rewarm)
        let rate = schedule.rate(at: saved.step)
        guard isLonger || rate.bitPattern == saved.nextLearningRate.bitPattern else {
            throw ExitError(
                .usage,
                "the schedule \(kindText) gives \(rate) for step \(saved.step), the checkpoint was saved with "
                    + "\(saved.nextLearningRate); give the function that it had, or enter this one with --rewarm N")
        }
        return LearningRateScheduler(schedule: schedule, step: saved.step)
    }

    /// The stored form of a program's own: its name in place of a curve.
    func customJSON(_ custom: CustomSchedule) -> [(String, JSONText)] {
        [
            ("kind", .string(CustomSchedule.word)), ("name", .string(custom.name)),
            ("base_learning_rate", .number(base)),
            ("total_steps", .number(totalSteps)),
        ]
    }

    /// Reads that form; nil for one of the built-in kinds.
    static func custom(_ json: JSON, rewarm: Rewarm?) throws -> LearningRateSchedule? {
        guard json["kind"]?.string == CustomSchedule.word else { return nil }
        return try LearningRateSchedule(
            kind: .constant, base: json.number("base_learning_rate"), warmupSteps: 0,
            totalSteps: json.int("total_steps"),
            muonBase: json.optional("muon_learning_rate", "a number") { $0.number }, rewarm: rewarm
        ).following(CustomSchedule(name: json.string("name"), rate: nil))
    }
}

extension LearningRateScheduler {
    /// Checks the rate that comes next where a program's own function gives it.
    /// - Throws: exit code 64 for one that no update can use.
    package func requireUsableRate() throws(ExitError) {
        guard let custom = schedule.custom, !(learningRate.isFinite && learningRate >= 0) else { return }
        throw ExitError(
            .usage,
            "the schedule '\(printable(custom.name))' gives \(learningRate) for step \(step), expected a finite number, 0 or "
                + "more; mend the function")
    }
}
