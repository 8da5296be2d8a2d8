import Basics
import Optimization
import Testing

/// What a resume takes over, refuses and changes.
@Suite struct LearningRateScheduleResumeTests {
    private let saved: LearningRateSchedule
    private let state: SchedulerState

    init() throws {
        saved = try LearningRateSchedule(base: 1e-3, warmupSteps: 10, totalSteps: 100)
        state = LearningRateScheduler(schedule: saved, step: 50).state
    }

    private func schedule(
        _ kind: LearningRateSchedule.Kind = .cosine, base: Double = 1e-3, warmup: Int = 10, total: Int = 100
    ) throws -> LearningRateSchedule {
        try LearningRateSchedule(kind: kind, base: base, warmupSteps: warmup, totalSteps: total)
    }

    @Test func goesOnWithTheSameBits() throws {
        let resumed = try schedule().resuming(state)
        #expect(resumed.step == 50)
        #expect(resumed.learningRate.bitPattern == saved.rate(at: 50).bitPattern)
    }

    @Test func refusesEveryDifferenceByName() throws {
        for (other, option) in [
            (try schedule(.linear), "--schedule"), (try schedule(base: 2e-3), "--learning-rate"),
            (try schedule(warmup: 11), "--warmup-steps"), (try schedule(total: 101), "--steps"),
        ] {
            let error = try #require(throws: ExitError.self) { try other.resuming(state) }
            // That one, and no other.
            #expect(error.description.contains("(\(option): saved ") && !error.description.contains("; --"), "\(error)")
            #expect(error.exitCode == 64)
        }
    }

    @Test func recomputesTheSavedRate() throws {
        let wrong = SchedulerState(schedule: saved, step: 50, nextLearningRate: state.nextLearningRate.nextUp)
        let error = try #require(throws: ExitError.self) { try schedule().resuming(wrong) }
        #expect(error.exitCode == 65)
        #expect(throws: ExitError.self) {
            try SchedulerState(schedule: saved, step: 51, nextLearningRate: state.nextLearningRate).verify()
        }
        #expect(throws: ExitError.self) {
            try SchedulerState(schedule: saved, step: -1, nextLearningRate: 0).verify()
        }
        // Past the end the rate holds: the number of the step alone is wrong.
        let last = LearningRateSchedule.largestStep
        #expect(last == 999_999_999_999)
        let end = saved.rate(at: 100)
        try SchedulerState(schedule: saved, step: last, nextLearningRate: end).verify()
        #expect(throws: ExitError.self) {
            try SchedulerState(schedule: saved, step: last + 1, nextLearningRate: end).verify()
        }
    }

    @Test func extendsTheEndOnly() throws {
        let resumed = try schedule(total: 200).resuming(state, change: .extend)
        #expect(resumed.schedule == (try schedule(total: 200)))
        #expect(resumed.learningRate > state.nextLearningRate)
        #expect(throws: ExitError.self) { try schedule(total: 90).resuming(state, change: .extend) }
        #expect(throws: ExitError.self) { try schedule(base: 2e-3, total: 200).resuming(state, change: .extend) }
        // The restart of an extended run repeats the flag: nothing is left to extend.
        let again = try schedule(total: 200).resuming(resumed.state, change: .extend)
        #expect(again == resumed)
    }

    @Test func extendsAStableRunWithItsDecay() throws {
        let short = try LearningRateSchedule(kind: .wsd, base: 1, warmupSteps: 10, totalSteps: 100)
        let state = LearningRateScheduler(schedule: short, step: 50).state
        let long = try LearningRateSchedule(kind: .wsd, base: 1, warmupSteps: 10, totalSteps: 200)
        let resumed = try long.resuming(state, change: .extend)
        #expect(resumed.schedule.totalSteps == 200)
        #expect(resumed.schedule.decaySteps == 20)
        #expect(resumed.learningRate.bitPattern == state.nextLearningRate.bitPattern)
    }

    /// --extend-schedule changes --steps alone. Without --decay-steps a longer run asks for a fifth of its own length,
    /// 40 here: that keeps the saved ones. Any other number is a change of its own.
    @Test(arguments: [(20, 20, true), (20, 40, true), (20, 33, false), (20, 0, false), (33, 33, true), (33, 40, true)])
    func decayStepsOfAnExtendedRun(saved: Int, wanted: Int, isExtended: Bool) throws {
        func schedule(_ total: Int, decay: Int) throws -> LearningRateSchedule {
            try LearningRateSchedule(kind: .wsd, base: 1, warmupSteps: 10, totalSteps: total, decaySteps: decay)
        }
        let state = LearningRateScheduler(schedule: try schedule(100, decay: saved), step: 50).state
        let long = try schedule(200, decay: wanted)
        guard !isExtended else {
            #expect(try long.resuming(state, change: .extend).schedule == schedule(200, decay: saved))
            return
        }
        let error = try #require(throws: ExitError.self) { try long.resuming(state, change: .extend) }
        #expect(error.exitCode == 64)
        #expect(error.description.contains("--decay-steps: saved \(saved), asked for \(wanted)"), "\(error)")
    }

    private func stable(_ total: Int, steps: Int? = nil, share: Double? = nil) throws -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: .wsd, base: 1, warmupSteps: 10, totalSteps: total, decaySteps: steps, decayShare: share)
    }

    /// A decay that was given as a share stays that share of a longer run.
    @Test func decayShareOfAnExtendedRun() throws {
        let state = LearningRateScheduler(schedule: try stable(100, share: 0.6), step: 50).state
        let resumed = try stable(200, share: 0.6).resuming(state, change: .extend)
        #expect(resumed.schedule == (try stable(200, share: 0.6)) && resumed.schedule.decaySteps == 120)
        // The restart of an extended run repeats the flag.
        #expect(try stable(200, share: 0.6).resuming(resumed.state, change: .extend) == resumed)
        // The same curve is no difference, however it is given; nor is one that has other steps for its length alone.
        #expect(try stable(100, steps: 60).resuming(state).schedule == stable(100, share: 0.6))
        #expect(try stable(200, steps: 60).resuming(state, change: .extend).schedule == stable(200, steps: 60))
        #expect(try stable(200, share: 0.3).resuming(state, change: .extend).schedule == stable(200, share: 0.3))
        #expect(try stable(200, share: 0.5).resuming(state, change: .rewarm(steps: 5)).schedule.decayShare == 0.5)
    }

    /// Another share, steps in place of a share, or a share in place of steps: a change of its own.
    @Test(
        arguments: [(0.6, nil, 0.5), (0.6, 90, nil), (0.6, nil, nil), (nil, nil, 0.6), (nil, nil, 0.2)]
            as [(Double?, Int?, Double?)])
    func anotherDecayIsNoExtension(saved: Double?, steps: Int?, share: Double?) throws {
        let saved = try saved.map { try stable(100, share: $0) } ?? stable(100, steps: 33)
        let state = LearningRateScheduler(schedule: saved, step: 50).state
        let error = try #require(throws: ExitError.self) {
            try stable(200, steps: steps, share: share).resuming(state, change: .extend)
        }
        #expect(error.exitCode == 64)
        #expect(error.description.contains("--decay-steps: saved \(saved.decaySteps)"), "\(error)")
    }

    @Test(arguments: [
        "schedule", "learning-rate", "min-learning-rate", "warmup-steps", "steps", "decay-steps", "decay-shape",
    ])
    func eachDifferenceAloneIsNamed(name: String) throws {
        func schedule(otherThan name: String? = nil) throws -> LearningRateSchedule {
            try LearningRateSchedule(
                kind: name == "schedule" ? .cosine : .wsd, base: name == "learning-rate" ? 2 : 1,
                warmupSteps: name == "warmup-steps" ? 9 : 10, totalSteps: name == "steps" ? 99 : 100,
                minimum: name == "min-learning-rate" ? 0.2 : 0.1,
                decaySteps: name == "schedule" ? nil : name == "decay-steps" ? 21 : 20,
                decayShape: name == "decay-shape" ? .linear : .sqrt)
        }
        let state = LearningRateScheduler(schedule: try schedule(), step: 50).state
        #expect(try schedule().resuming(state).schedule == schedule())
        let error = try #require(throws: ExitError.self) { try schedule(otherThan: name).resuming(state) }
        #expect(error.exitCode == 64 && error.description.contains("--\(name): saved "), "\(error)")
    }

    @Test func rewarmsWithoutAJump() throws {
        let wanted = try schedule(base: 5e-3, total: 300)
        let resumed = try wanted.resuming(state, change: .rewarm(steps: 20))
        let schedule = resumed.schedule
        let from = state.nextLearningRate
        #expect(resumed.learningRate == from + (wanted.rate(at: 50) - from) * (1.0 / 20))
        for step in 50..<69 { #expect(schedule.rate(at: step) < schedule.rate(at: step + 1)) }
        #expect(schedule.rate(at: 69).bitPattern == wanted.rate(at: 69).bitPattern)
        #expect(schedule.rate(at: 200).bitPattern == wanted.rate(at: 200).bitPattern)
        // A restart within the new warm-up goes on with it, with the flag or without.
        let later = LearningRateScheduler(schedule: schedule, step: 55).state
        #expect(try wanted.resuming(later, change: .rewarm(steps: 20)).schedule == schedule)
        let plain = try wanted.resuming(later)
        #expect(plain.schedule == schedule)
        #expect(plain.learningRate.bitPattern == later.nextLearningRate.bitPattern)
        #expect(throws: ExitError.self) { try wanted.resuming(state, change: .rewarm(steps: 0)) }
    }

    /// Within a second warm-up: another number or another rate is a third one, an extension goes on with it.
    @Test func whatChangesWithinARewarm() throws {
        let wanted = try schedule(base: 5e-3, total: 300)
        let first = try wanted.resuming(state, change: .rewarm(steps: 20)).schedule
        let later = LearningRateScheduler(schedule: first, step: 55).state
        for (other, steps) in [(wanted, 7), (wanted, 30), (try schedule(base: 4e-3, total: 300), 20)] {
            let again = try other.resuming(later, change: .rewarm(steps: steps))
            let rewarm = try #require(again.schedule.rewarm)
            #expect(rewarm.steps == steps && rewarm.start == 55 && rewarm.from == later.nextLearningRate)
            #expect(again.step == 55 && again.schedule.base == other.base)
        }
        let extended = try schedule(base: 5e-3, total: 600).resuming(later, change: .extend)
        #expect(extended.schedule.totalSteps == 600 && extended.schedule.rewarm == first.rewarm)
        // The same flags without a second warm-up in the saved run: there was none to go on with.
        #expect(try schedule().resuming(state, change: .rewarm(steps: 20)).schedule.rewarm?.start == 50)
        #expect(try schedule().resuming(state, change: .extend).schedule == saved)
    }
}
