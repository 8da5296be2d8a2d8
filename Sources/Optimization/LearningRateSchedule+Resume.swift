/// Whether a schedule is the one of a saved run.
package enum ScheduleCompatibility: Equatable, Sendable {
    case same
    case differs([ScheduleDifference])
}

/// What a resume may change of the saved schedule; the names are those of the options.
package enum ScheduleChange: Equatable, Sendable {
    /// Nothing: a difference is an error.
    case none
    /// `--extend-schedule`: a larger S, everything else as saved. The curve is re-evaluated at the saved step.
    case extend
    /// `--rewarm N`: any new schedule, entered by a linear warm-up of N updates from the saved run's next rate.
    case rewarm(steps: Int)
}

/// The schedule that a resumed run goes on with.
package struct ResumedSchedule: Equatable, Sendable {
    /// Positioned at the saved step.
    package let scheduler: LearningRateScheduler
    /// The rate that the saved run would have used next.
    package let savedRate: Double
    /// The rate that this run uses next: the same bits unless a change was asked for.
    package var rate: Double { scheduler.learningRate }
    /// True when the next rate is another one; the caller prints `savedRate` → `rate`.
    package var jumps: Bool { rate.bitPattern != savedRate.bitPattern }
}

extension LearningRateSchedule {
    /// Compares what flags define; a second warm-up belongs to the saved run and is not compared.
    package func compatibility(with saved: LearningRateSchedule) -> ScheduleCompatibility {
        var found: [ScheduleDifference] = []
        func compare(_ option: String, _ saved: String, _ requested: String) {
            if saved != requested {
                found.append(ScheduleDifference(option: option, saved: saved, requested: requested))
            }
        }
        compare("--schedule", saved.kind.rawValue, kind.rawValue)
        compare("--learning-rate", "\(saved.base)", "\(base)")
        compare("--warmup-steps", "\(saved.warmupSteps)", "\(warmupSteps)")
        compare("--steps", "\(saved.totalSteps)", "\(totalSteps)")
        compare("--min-learning-rate", "\(saved.minimum)", "\(minimum)")
        compare("--decay-steps", "\(saved.decaySteps)", "\(decaySteps)")
        return found.isEmpty ? .same : .differs(found)
    }

    /// The same curve stretched to a later end, decay steps of `wsd` kept (`--extend-schedule`).
    package func extended(toTotalSteps newTotal: Int) throws(ScheduleError) -> LearningRateSchedule {
        guard newTotal > totalSteps else {
            throw .invalid(
                option: "--steps with --extend-schedule", value: "\(newTotal)",
                expected: "more than the saved \(totalSteps)")
        }
        return try LearningRateSchedule(
            kind: kind, base: base, warmupSteps: warmupSteps, totalSteps: newTotal, minimum: minimum,
            decaySteps: decaySteps, rewarm: rewarm)
    }

    /// This schedule, entered at `step` by `steps` updates of linear warm-up from the rate `from` (`--rewarm`).
    package func rewarmed(at step: Int, steps: Int, from: Double) throws(ScheduleError) -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: kind, base: base, warmupSteps: warmupSteps, totalSteps: totalSteps, minimum: minimum,
            decaySteps: decaySteps, rewarm: Rewarm(start: step, steps: steps, from: from))
    }

    /// Decides how a run that asks for this schedule goes on from a saved state.
    ///
    /// The saved state is verified first. When the flags define the saved schedule, the saved one is used, its second
    /// warm-up included, whatever `change` allows: a restart loop that repeats the flags of an extended or rewarmed
    /// run does not extend or rewarm it once more. Throws `.differs` for a difference that `change` does not cover.
    package func resuming(_ saved: SchedulerState, change: ScheduleChange = .none) throws(ScheduleError)
        -> ResumedSchedule
    {
        try saved.verify()
        func result(_ schedule: LearningRateSchedule) -> ResumedSchedule {
            ResumedSchedule(
                scheduler: LearningRateScheduler(schedule: schedule, step: saved.step),
                savedRate: saved.nextLearningRate)
        }
        let compatibility = compatibility(with: saved.schedule)
        switch (compatibility, change) {
        case (.same, .none), (.same, .extend):
            return result(saved.schedule)
        case (.same, .rewarm(let steps)) where saved.schedule.rewarm?.steps == steps:
            return result(saved.schedule)
        case (_, .rewarm(let steps)):
            return result(try rewarmed(at: saved.step, steps: steps, from: saved.nextLearningRate))
        case (.differs(let differences), .extend) where differences.map(\.option) == ["--steps"]:
            return result(try saved.schedule.extended(toTotalSteps: totalSteps))
        case (.differs(let differences), .extend) where extendsDefaultDecay(saved.schedule, differences):
            return result(try saved.schedule.extended(toTotalSteps: totalSteps))
        case (.differs(let differences), _):
            throw .differs(differences)
        }
    }

    /// A longer `wsd` run without `--decay-steps` asks for a fifth of the new length: that is no change of its own.
    private func extendsDefaultDecay(_ saved: LearningRateSchedule, _ differences: [ScheduleDifference]) -> Bool {
        guard kind == .wsd, differences.map(\.option) == ["--steps", "--decay-steps"] else { return false }
        let left = max(0, totalSteps - warmupSteps)
        return decaySteps == min(left, (totalSteps + 4) / 5)
    }
}
