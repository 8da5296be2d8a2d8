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
        #expect(!resumed.jumps)
        #expect(resumed.scheduler.step == 50)
        #expect(resumed.rate.bitPattern == saved.rate(at: 50).bitPattern)
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
    }

    @Test func extendsTheEndOnly() throws {
        let resumed = try schedule(total: 200).resuming(state, change: .extend)
        #expect(resumed.scheduler.schedule == (try schedule(total: 200)))
        #expect(resumed.jumps)
        #expect(resumed.rate > resumed.savedRate)
        #expect(throws: ExitError.self) { try schedule(total: 90).resuming(state, change: .extend) }
        #expect(throws: ExitError.self) { try schedule(base: 2e-3, total: 200).resuming(state, change: .extend) }
        // The restart of an extended run repeats the flag: nothing is left to extend.
        let again = try schedule(total: 200).resuming(resumed.scheduler.state, change: .extend)
        #expect(!again.jumps)
    }

    @Test func extendsAStableRunWithItsDecay() throws {
        let short = try LearningRateSchedule(kind: .wsd, base: 1, warmupSteps: 10, totalSteps: 100)
        let state = LearningRateScheduler(schedule: short, step: 50).state
        let long = try LearningRateSchedule(kind: .wsd, base: 1, warmupSteps: 10, totalSteps: 200)
        let resumed = try long.resuming(state, change: .extend)
        #expect(resumed.scheduler.schedule.totalSteps == 200)
        #expect(resumed.scheduler.schedule.decaySteps == 20)
        #expect(!resumed.jumps)
    }

    @Test func rewarmsWithoutAJump() throws {
        let wanted = try schedule(base: 5e-3, total: 300)
        let resumed = try wanted.resuming(state, change: .rewarm(steps: 20))
        let schedule = resumed.scheduler.schedule
        let from = state.nextLearningRate
        #expect(resumed.rate == from + (wanted.rate(at: 50) - from) * (1.0 / 20))
        for step in 50..<69 { #expect(schedule.rate(at: step) < schedule.rate(at: step + 1)) }
        #expect(schedule.rate(at: 69).bitPattern == wanted.rate(at: 69).bitPattern)
        #expect(schedule.rate(at: 200).bitPattern == wanted.rate(at: 200).bitPattern)
        // A restart within the new warm-up goes on with it, with the flag or without.
        let later = LearningRateScheduler(schedule: schedule, step: 55).state
        #expect(try wanted.resuming(later, change: .rewarm(steps: 20)).scheduler.schedule == schedule)
        let plain = try wanted.resuming(later)
        #expect(plain.scheduler.schedule == schedule)
        #expect(!plain.jumps)
        #expect(throws: ExitError.self) { try wanted.resuming(state, change: .rewarm(steps: 0)) }
    }
}
