import Basics

/// What a resume may change of the saved schedule; the names are those of the options.
package enum ScheduleChange: Equatable, Sendable {
    /// Nothing: a difference is an error.
    case none
    /// `--extend-schedule`: a larger S, everything else as saved. The curve is re-evaluated at the saved step.
    case extend
    /// `--rewarm N`: any new schedule, entered by a linear warm-up of N updates from the saved run's next rate.
    case rewarm(steps: Int)
}

extension LearningRateSchedule {
    /// Decides how a run that asks for this schedule goes on from a saved state: at the saved step, with the saved rate,
    /// bit for bit, unless a change was asked for.
    ///
    /// The saved state is verified first. When the flags define the saved schedule, the saved one is used, its second
    /// warm-up included, whatever `change` allows: a restart loop that repeats the flags of an extended or rewarmed
    /// run does not extend or rewarm it once more. Throws 64 naming each difference that `change` does not
    /// cover.
    package func resuming(_ saved: SchedulerState, change: ScheduleChange = .none) throws(ExitError)
        -> LearningRateScheduler
    {
        try saved.verify()
        if custom != nil || saved.schedule.custom != nil { return try resumingCustom(saved, change: change) }
        let differences = zip(saved.schedule.options, options).filter { $0.value != $1.value }
        let names = differences.map { $1.name }
        let schedule: LearningRateSchedule
        switch change {
        case .none where names.isEmpty, .extend where names.isEmpty:
            schedule = saved.schedule
        case .rewarm(let steps) where names.isEmpty && saved.schedule.rewarm?.steps == steps:
            schedule = saved.schedule
        case .rewarm(let steps):
            schedule = try with(
                totalSteps: totalSteps,
                rewarm: Rewarm(
                    start: saved.step, steps: steps, from: saved.nextLearningRate,
                    muonFrom: saved.schedule.muonRate(at: saved.step)))
        case .extend where names == ["steps"] || names == ["steps", "decay-steps"] && hasTheDecay(of: saved.schedule):
            guard totalSteps > saved.schedule.totalSteps else {
                throw ExitError(
                    .usage,
                    "--steps with --extend-schedule is \(totalSteps), expected more than the saved "
                        + "\(saved.schedule.totalSteps)")
            }
            let curve = names == ["steps"] ? self : saved.schedule
            schedule = try curve.with(totalSteps: totalSteps, rewarm: saved.schedule.rewarm)
        case .none, .extend:
            let shown = differences.map { "--\($0.name): saved \($0.value), asked for \($1.value)" }
            throw ExitError(
                .usage,
                "the checkpoint has another learning-rate schedule (\(shown.joined(separator: "; "))); use the saved "
                    + "values, or ask for the change with --extend-schedule (new --steps only) or --rewarm N")
        }
        return LearningRateScheduler(schedule: schedule, step: saved.step)
    }

    /// Whether this longer `wsd` run decays over other steps for its length alone: over the saved share of them or,
    /// where nobody gave a decay, over a fifth.
    private func hasTheDecay(of saved: LearningRateSchedule) -> Bool {
        guard kind == .wsd, saved.kind == .wsd, decayShare == saved.decayShare else { return false }
        return decayShare != nil
            || decaySteps == Self.standardDecay(totalSteps: totalSteps, warmupSteps: warmupSteps)
    }

    /// The same curve with another end or second warm-up. A decay that was given as a share keeps that, another one its
    /// steps.
    func with(totalSteps: Int, rewarm: Rewarm?) throws(ExitError) -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: kind, base: base, warmupSteps: warmupSteps, totalSteps: totalSteps, minimum: minimum,
            decaySteps: decayShare == nil ? decaySteps : nil, decayShare: decayShare,
            decayShape: decayShape, muonBase: muonBase, rewarm: rewarm
        ).following(custom)
    }
}
