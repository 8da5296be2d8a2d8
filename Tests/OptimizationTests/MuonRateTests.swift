import Basics
import Optimization
import Testing

/// Muon's rate: its peak times the part of the base rate that the one schedule has, through every kind of resume.
@Suite struct MuonRateTests {
    private func schedule(
        _ kind: LearningRateSchedule.Kind = .cosine, base: Double = 1e-3, total: Int = 100, muon: Double? = 0.02,
        minimum: Double = 0
    ) throws -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: kind, base: base, warmupSteps: 10, totalSteps: total, minimum: minimum, muonBase: muon)
    }

    @Test(arguments: LearningRateSchedule.Kind.allCases) func followsTheCurve(kind: LearningRateSchedule.Kind) throws {
        let schedule = try schedule(kind, minimum: 1e-4)
        for step in [0, 5, 9, 10, 11, 50, 85, 99, 100, 120] {
            let rate = try #require(schedule.muonRate(at: step))
            #expect((rate - 20 * schedule.rate(at: step)).magnitude <= 1e-16, "step \(step)")
        }
        #expect(schedule.muonRate(at: 9) == 0.02 && schedule.muonRate(at: 10) == 0.02)
        let rates = LearningRateScheduler(schedule: schedule, step: 50).rates
        #expect(rates == LearningRates(adamW: schedule.rate(at: 50), muon: schedule.muonRate(at: 50)))
    }

    @Test func withoutMuonOrWithoutARate() throws {
        let plain = try schedule(muon: nil)
        #expect(plain.muonRate(at: 50) == nil)
        #expect(LearningRateScheduler(schedule: plain, step: 3).rates == LearningRates(adamW: plain.rate(at: 3)))
        #expect(plain.options.map(\.name).contains("muon-learning-rate") == false)
        let still = try schedule(base: 0)
        #expect(still.muonRate(at: 5) == 0 && still.muonRate(at: 50) == 0)
        let error = #expect(throws: ExitError.self) { try schedule(muon: -1) }
        #expect(error?.exitCode == 64 && error?.description.hasPrefix("--muon-learning-rate is -1.0") == true)
    }

    @Test(arguments: [nil, 20] as [Int?]) func isStored(rewarm: Int?) throws {
        let saved = LearningRateScheduler(schedule: try schedule(), step: 50)
        let state =
            try rewarm.map {
                try schedule(base: 5e-3, total: 300, muon: 0.1).resuming(saved.state, change: .rewarm(steps: $0)).state
            } ?? saved.state
        let read = try SchedulerState(JSON(Array(state.json.pretty)))
        #expect(read == state && read.schedule.muonBase == state.schedule.muonBase)
        #expect(read.schedule.muonRate(at: 55) == state.schedule.muonRate(at: 55))
        let plain = LearningRateScheduler(schedule: try schedule(muon: nil)).state
        #expect(try SchedulerState(JSON(Array(plain.json.pretty))).schedule.muonBase == nil)
    }

    @Test func anotherRateIsADifference() throws {
        let state = LearningRateScheduler(schedule: try schedule(), step: 50).state
        #expect(try schedule().resuming(state).rates == LearningRateScheduler(schedule: schedule(), step: 50).rates)
        for change in [ScheduleChange.none, .extend] {
            let error = try #require(throws: ExitError.self) {
                try schedule(muon: 0.03).resuming(state, change: change)
            }
            #expect(error.description.contains("(--muon-learning-rate: saved 0.02, asked for 0.03)"), "\(error)")
        }
    }

    /// The extended curve is that of a run which had its length from the start, for both rates.
    @Test(arguments: LearningRateSchedule.Kind.allCases) func anExtensionTakesBoth(kind: LearningRateSchedule.Kind)
        throws
    {
        let state = LearningRateScheduler(schedule: try schedule(kind), step: 50).state
        let resumed = try schedule(kind, total: 200).resuming(state, change: .extend)
        #expect(resumed.schedule.muonBase == 0.02)
        let factor = resumed.learningRate / 1e-3
        #expect(((resumed.rates.muon ?? 0) - 0.02 * factor).magnitude < 1e-17)
        if kind == .constant || kind == .wsd { #expect(resumed.rates == LearningRates(adamW: 1e-3, muon: 0.02)) }
    }

    /// Both rates go in straight lines from what the saved run would have used to the new curve, whatever changes.
    @Test(arguments: [(5e-3, 0.02), (1e-3, 0.2), (0.1, 1e-4), (0, 0.02)])
    func rewarmsWithoutAJump(base: Double, muon: Double) throws {
        let saved = try schedule()
        let state = LearningRateScheduler(schedule: saved, step: 50).state
        let wanted = try schedule(.linear, base: base, total: 300, muon: muon)
        let resumed = try wanted.resuming(state, change: .rewarm(steps: 20)).schedule
        let from = try #require(saved.muonRate(at: 50))
        for i in 0..<20 {
            let target = try #require(wanted.muonRate(at: 50 + i))
            let expected = from + (target - from) * Double(i + 1) / 20
            #expect(((resumed.muonRate(at: 50 + i) ?? -1) - expected).magnitude < 1e-15, "update \(i)")
        }
        #expect(resumed.muonRate(at: 70) == wanted.muonRate(at: 70))
        // Rewarmed once more in the middle of it: from where it is.
        let middle = LearningRateScheduler(schedule: resumed, step: 57).state
        let again = try wanted.resuming(middle, change: .rewarm(steps: 1000)).schedule
        let start = try #require(resumed.muonRate(at: 57))
        let (next, target) = (try #require(again.muonRate(at: 57)), try #require(wanted.muonRate(at: 57)))
        #expect((next - start).magnitude <= 1.01e-3 * (target - start).magnitude + 1e-15)
    }
}
