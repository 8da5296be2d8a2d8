import Basics
import Optimization
import Testing

/// The shape of `wsd`'s decay through every kind of resume, for AdamW's rate and Muon's.
@Suite struct DecayShapeTests {
    typealias Shape = LearningRateSchedule.DecayShape

    private func schedule(
        _ total: Int = 100, _ shape: Shape = .linear, share: Double? = 0.6, muon: Double? = 0.04
    ) throws -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: .wsd, base: 0.01, warmupSteps: 5, totalSteps: total, decayShare: share, decayShape: shape,
            muonBase: muon)
    }

    private func bits(_ rates: LearningRates) -> [UInt64?] { [rates.adamW.bitPattern, rates.muon?.bitPattern] }

    /// In the warm-up, before the decay, in it and at the end: the next rates are those of the run that went on.
    @Test(arguments: Shape.allCases, [nil, 0.04] as [Double?]) func aResumeHasNoJump(shape: Shape, muon: Double?) throws
    {
        let schedule = try schedule(100, shape, muon: muon)
        var whole = LearningRateScheduler(schedule: schedule)
        for step in 0...100 {
            let read = try SchedulerState(JSON(Array(whole.state.json.pretty)))
            var resumed = try schedule.resuming(read)
            #expect(resumed.step == step && resumed.schedule == schedule)
            #expect(bits(resumed.rates) == bits(whole.rates), "step \(step)")
            whole.advance()
            resumed.advance()
            #expect(bits(resumed.rates) == bits(whole.rates), "after step \(step)")
        }
    }

    /// A straight decay falls by the same each step, to zero, and never jumps; Muon's is four times as high throughout.
    @Test func aStraightDecayIsStraight() throws {
        let schedule = try schedule()
        for step in 5...100 {
            let fall = schedule.rate(at: step) - schedule.rate(at: step + 1)
            let expected = step < 40 || step == 100 ? 0 : 0.01 / 60
            #expect((fall - expected).magnitude < 1e-17, "step \(step)")
            let muon = try #require(schedule.muonRate(at: step))
            #expect((muon - 4 * schedule.rate(at: step)).magnitude < 1e-16, "step \(step)")
        }
        #expect(schedule.rate(at: 100) == 0 && schedule.muonRate(at: 100) == 0)
    }

    /// The standard decay, and one by its share.
    @Test(arguments: Shape.allCases, [nil, 0.6] as [Double?])
    func anExtensionKeepsTheShape(shape: Shape, share: Double?) throws {
        let state = LearningRateScheduler(schedule: try schedule(100, shape, share: share), step: 30).state
        let resumed = try schedule(200, shape, share: share).resuming(state, change: .extend)
        #expect(resumed.schedule.decayShape == shape && resumed.schedule.totalSteps == 200)
        // Before either decay: no jump.
        #expect(resumed.rates == LearningRates(adamW: 0.01, muon: 0.04))
    }

    @Test(arguments: [ScheduleChange.none, .extend]) func anotherShapeIsADifference(change: ScheduleChange) throws {
        let state = LearningRateScheduler(schedule: try schedule(), step: 50).state
        let error = try #require(throws: ExitError.self) {
            try schedule(change == .extend ? 200 : 100, .sqrt).resuming(state, change: change)
        }
        #expect(error.exitCode == 64)
        #expect(error.description.contains("--decay-shape: saved linear, asked for sqrt"), "\(error)")
    }

    /// Both rates go in straight lines from the saved curve to the one of the other shape.
    @Test func aRewarmEntersAnotherShape() throws {
        let (saved, wanted) = (try schedule(), try schedule(100, .sqrt))
        let state = LearningRateScheduler(schedule: saved, step: 60).state
        let resumed = try wanted.resuming(state, change: .rewarm(steps: 10)).schedule
        #expect(resumed.decayShape == .sqrt)
        for (from, rate, target) in [
            (saved.rate(at: 60), resumed.rate, wanted.rate),
            (
                try #require(saved.muonRate(at: 60)), { resumed.muonRate(at: $0) ?? -1 },
                { wanted.muonRate(at: $0) ?? -1 }
            ),
        ] as [(Double, (Int) -> Double, (Int) -> Double)] {
            for i in 0..<10 {
                let expected = from + (target(60 + i) - from) * Double(i + 1) / 10
                #expect((rate(60 + i) - expected).magnitude < 1e-16, "update \(i)")
            }
            #expect(rate(70) == target(70))
        }
    }
}
