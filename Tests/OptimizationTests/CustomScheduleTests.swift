import Basics
import Optimization
import Testing

/// A program's own learning rate: what it computes, what a checkpoint keeps of it, and how a resume takes it up again.
@Suite struct CustomScheduleTests {
    private func schedule(
        _ name: String? = "saw", total: Int = 100, muon: Double? = nil,
        _ rate: @escaping @Sendable (Int) -> Double = saw
    ) throws -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: .wsd, base: 0.5, warmupSteps: 10, totalSteps: total, minimum: 0.1, decayShare: 0.3, muonBase: muon
        ).following(name.map { CustomSchedule(name: $0, rate: rate) })
    }

    private static let saw: @Sendable (Int) -> Double = { step in Double(step % 7) / 8 }

    /// What a file gives back.
    private func stored(_ state: SchedulerState) throws -> SchedulerState {
        try SchedulerState(JSON(Array(state.json.text.utf8)))
    }

    @Test func givesItsOwnRates() throws {
        let own = try schedule(muon: 0.04)
        for step in 0...100 {
            #expect(own.rate(at: step) == Self.saw(step))
            #expect(own.muonRate(at: step) == 0.04 * (Self.saw(step) / 0.5))
        }
        #expect(own.rate(at: 1000) == Self.saw(100), "past the end the last rate holds")
        #expect(try schedule(nil).following(nil) == schedule(nil))
    }

    @Test func aCheckpointKeepsItsNameAndTheRate() throws {
        let state = LearningRateScheduler(schedule: try schedule(muon: 0.04), step: 33).state
        let text = state.json.text
        #expect(text.contains(#""kind":"custom","name":"saw""#) && !text.contains("warmup_steps"), "\(text)")
        let read = try stored(state)
        #expect(read.schedule.custom?.name == "saw" && read.schedule.custom?.rate == nil)
        #expect(read.schedule.kindText == "custom 'saw'" && read.nextLearningRate == Self.saw(33))
        // Nobody knows the function, so there is nothing to compare with.
        try read.verify()
        #expect(throws: ExitError.self) {
            try SchedulerState(schedule: schedule(), step: 33, nextLearningRate: 0.9).verify()
        }
    }

    @Test func goesOnWithTheSameBits() throws {
        let saved = try stored(LearningRateScheduler(schedule: try schedule(), step: 33).state)
        let resumed = try schedule().resuming(saved)
        #expect(resumed.step == 33 && resumed.learningRate == Self.saw(33))
        #expect(resumed.schedule.custom?.rate != nil)
    }

    @Test func refusesWhatIsAnother() throws {
        let saved = try stored(LearningRateScheduler(schedule: try schedule(), step: 33).state)
        let builtIn = try stored(LearningRateScheduler(schedule: try schedule(nil), step: 33).state)
        for (asked, state, word) in [
            (try schedule(nil), saved, "has the schedule custom 'saw', asked for is wsd"),
            (try schedule("other"), saved, "asked for is custom 'other'"),
            (try schedule(), builtIn, "has the schedule wsd, asked for is custom 'saw'"),
            (try schedule { Self.saw($0).nextUp }, saved, "gives \(Self.saw(33).nextUp) for step 33"),
            (try schedule(total: 101), saved, "--steps is 101, the checkpoint has 100"),
        ] {
            let error = try #require(throws: ExitError.self) { try asked.resuming(state) }
            #expect(error.exitCode == 64 && error.description.contains(word), "\(error)")
        }
        #expect(throws: ExitError.self) { try schedule(total: 99).resuming(saved, change: .extend) }
    }

    @Test func changesWhereThatIsAskedFor() throws {
        let saved = try stored(LearningRateScheduler(schedule: try schedule(), step: 33).state)
        #expect(try schedule(total: 200).resuming(saved, change: .extend).schedule.rate(at: 150) == Self.saw(150))
        // Into a curve of ours, and into another of the program's own, from the rate that was saved.
        for asked in [try schedule(nil), try schedule("other") { _ in 0.25 }] {
            let entered = try asked.resuming(saved, change: .rewarm(steps: 4))
            let target = asked.rate(at: 33)
            let expected = Self.saw(33) + (target - Self.saw(33)) / 4
            #expect((entered.learningRate - expected).magnitude < 1e-15)
            #expect(entered.schedule.rate(at: 36) == asked.rate(at: 36))
            // The same options again do not enter it once more.
            var later = entered
            later.advance()
            let again = try asked.resuming(stored(later.state), change: .rewarm(steps: 4))
            #expect(again.learningRate.bitPattern == later.learningRate.bitPattern)
            #expect(again.schedule.rewarm == entered.schedule.rewarm)
        }
    }

    @Test(arguments: [Double.nan, -1, .infinity]) func noUpdateUsesARateThatIsNone(rate: Double) throws {
        let scheduler = LearningRateScheduler(schedule: try schedule { _ in rate }, step: 3)
        let error = try #require(throws: ExitError.self) { try scheduler.requireUsableRate() }
        #expect(error.exitCode == 64 && error.description.hasPrefix("the schedule 'saw' gives "), "\(error)")
        try LearningRateScheduler(schedule: schedule { _ in 0 }).requireUsableRate()
    }
}
