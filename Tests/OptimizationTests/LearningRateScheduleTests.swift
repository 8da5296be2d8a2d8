import Basics
import Optimization
import Testing

/// The formula of docs/schedule.md: the published log, the edges, and PyTorch's numbers bit for bit.
@Suite struct LearningRateScheduleTests {
    private func schedule(
        _ kind: LearningRateSchedule.Kind = .cosine, base: Double = 1, warmup: Int, total: Int, minimum: Double = 0,
        decay: Int? = nil, shape: LearningRateSchedule.DecayShape = .sqrt
    ) throws -> LearningRateSchedule {
        try LearningRateSchedule(
            kind: kind, base: base, warmupSteps: warmup, totalSteps: total, minimum: minimum, decaySteps: decay,
            decayShape: shape)
    }

    /// Six decimals, as the log prints them.
    private func sixDecimals(_ rate: Double) -> String {
        let millionths = "\(Int((rate * 1e6).rounded()))"
        return "0." + String(repeating: "0", count: 6 - millionths.count) + millionths
    }

    @Test(arguments: [
        (10, "0.000033"), (20, "0.000063"), (50, "0.000153"), (90, "0.000273"), (100, "0.000300"), (350, "0.000300"),
        (360, "0.000299"), (540, "0.000299"), (550, "0.000298"), (590, "0.000298"),
    ])
    func printsThePublishedLog(step: Int, expected: String) throws {
        var scheduler = LearningRateScheduler(schedule: try schedule(base: 3e-4, warmup: 100, total: 10_000))
        for _ in 0..<step { scheduler.advance() }
        #expect(sixDecimals(scheduler.learningRate) == expected)
    }

    @Test func hasTheRatesOfLambdaLR() throws {
        var compared = 0
        for golden in scheduleGoldens {
            let kind = try #require(LearningRateSchedule.Kind(rawValue: golden.kind))
            let shape = try #require(LearningRateSchedule.DecayShape(rawValue: golden.shape))
            let schedule = try schedule(
                kind, base: golden.base, warmup: golden.warmup, total: golden.total,
                decay: kind == .wsd ? golden.decay : nil, shape: shape)
            for (step, bits) in golden.rates {
                #expect(
                    schedule.rate(at: step).bitPattern == bits,
                    "\(golden.kind) W \(golden.warmup) S \(golden.total) step \(step)")
                compared += 1
            }
        }
        #expect(compared > 250)
    }

    @Test func edgesOfACosine() throws {
        let schedule = try schedule(base: 2, warmup: 4, total: 12, minimum: 0.5)
        #expect(schedule.rate(at: 0) == 0.5)  // 2 · 1/4
        #expect(schedule.rate(at: 3) == 2)  // the last warm-up step has the peak
        #expect(schedule.rate(at: 4) == 2)  // and so has the first of the decay
        #expect(schedule.rate(at: 8) == 1.25)  // halfway from 2 to 0.5
        #expect(schedule.rate(at: 11) > 0.5)
        #expect(schedule.rate(at: 12) == 0.5)
        #expect(schedule.rate(at: 13) == 0.5)
        #expect(schedule.rate(at: Int.max) == 0.5)
    }

    @Test func warmupOfNothingAllAndMore() throws {
        #expect(try schedule(warmup: 0, total: 10).rate(at: 0) == 1)
        let all = try schedule(warmup: 10, total: 10)
        #expect(all.rate(at: 9) == 1)
        #expect(all.rate(at: 10) == 1)
        #expect(all.rate(at: 11) == 1)
        let more = try schedule(warmup: 20, total: 10)
        #expect(more.rate(at: 9) == 0.5)
        #expect(more.rate(at: 10) == 0.55)
        #expect(more.rate(at: 11) == 0.55)  // past S the value at S holds
    }

    @Test func linearConstantAndStableDecay() throws {
        let linear = try schedule(.linear, base: 8, warmup: 2, total: 10)
        #expect((0...11).map(linear.rate) == [4, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
        #expect(try schedule(.linear, warmup: 10, total: 10).rate(at: 10) == 1)

        let constant = try schedule(.constant, base: 8, warmup: 2, total: 6, minimum: 1)
        #expect((0...7).map(constant.rate) == [4, 8, 8, 8, 8, 8, 8, 8])

        let stable = try schedule(.wsd, base: 8, warmup: 2, total: 10, decay: 4)
        #expect((0...6).map(stable.rate) == [4, 8, 8, 8, 8, 8, 8])
        #expect(stable.rate(at: 7) == 4)  // 8 · (1 − √¼)
        #expect(stable.rate(at: 10) == 0)
        #expect(stable.rate(at: 11) == 0)
        #expect(try schedule(.wsd, warmup: 2, total: 100).decaySteps == 20)  // a fifth
        #expect(try schedule(.wsd, warmup: 95, total: 100).decaySteps == 5)  // what the warm-up leaves
        #expect(try schedule(.wsd, warmup: 100, total: 100).rate(at: 100) == 1)
        #expect(try schedule(.wsd, warmup: 2, total: 10, decay: 0).rate(at: 10) == 1)
        #expect(try schedule(.wsd, base: 8, warmup: 0, total: 4, minimum: 2, decay: 4).rate(at: 1) == 5)
        let straight = try schedule(.wsd, base: 8, warmup: 2, total: 10, decay: 4, shape: .linear)
        #expect((0...11).map(straight.rate) == [4, 8, 8, 8, 8, 8, 8, 6, 4, 2, 0, 0])
        let raised = try schedule(.wsd, base: 8, warmup: 0, total: 4, minimum: 4, decay: 2, shape: .linear)
        #expect((0...5).map(raised.rate) == [8, 8, 8, 6, 4, 4])
        #expect(try schedule(.wsd, warmup: 2, total: 10, decay: 0, shape: .linear).rate(at: 10) == 1)
    }

    @Test(arguments: [
        ("--learning-rate", Double.nan, 0, 10, 0.0), ("--learning-rate", -1, 0, 10, 0),
        ("--learning-rate", .infinity, 0, 10, 0), ("--steps", 1, 0, 0, 0), ("--steps", 1, 0, -3, 0),
        ("--steps", 1, 0, Int.max, 0), ("--warmup-steps", 1, -1, 10, 0), ("--warmup-steps", 1, .max, 10, 0),
        ("--min-learning-rate", 1, 0, 10, -0.1), ("--min-learning-rate", 1, 0, 10, 2),
        ("--min-learning-rate", 1, 0, 10, .nan),
    ])
    func namesAWrongValue(option: String, base: Double, warmup: Int, total: Int, minimum: Double) throws {
        let error = try #require(throws: ExitError.self) {
            try schedule(base: base, warmup: warmup, total: total, minimum: minimum)
        }
        #expect(error.exitCode == 64)
        #expect(error.description.hasPrefix(option + " is "))
    }

    /// The steps that are nearest to the share; what is stored is the share too.
    @Test(arguments: [
        (0.0, 100, 0), (0.6, 100, 60), (1.0, 100, 100), (0.6, 7, 4), (0.5, 5, 3), (0.005, 100, 1), (1.0 / 3, 120, 40),
    ])
    func aDecayAsAShare(share: Double, total: Int, steps: Int) throws {
        let schedule = try LearningRateSchedule(
            kind: .wsd, base: 8, warmupSteps: 0, totalSteps: total, decayShare: share)
        #expect(schedule.decaySteps == steps && schedule.decayShare == share)
        let same = try self.schedule(.wsd, base: 8, warmup: 0, total: total, decay: steps)
        #expect((0...total).map(schedule.rate).map(\.bitPattern) == (0...total).map(same.rate).map(\.bitPattern))
        let stored = try LearningRateSchedule(JSON(schedule.json.pretty))
        #expect(stored == schedule)
        #expect(try LearningRateSchedule(JSON(same.json.pretty)) == same && same.decayShare == nil)
    }

    @Test func aShareThatIsNotThatOfTheSavedStepsIsNone() throws {
        let schedule = try LearningRateSchedule(kind: .wsd, base: 8, warmupSteps: 0, totalSteps: 100, decayShare: 0.6)
        let text = String(decoding: schedule.json.pretty, as: UTF8.self)
        let wrong = text.replacing("\"decay_steps\": 60", with: "\"decay_steps\": 61")
        try #require(wrong != text)
        let error = try #require(throws: ExitError.self) { try LearningRateSchedule(JSON(Array(wrong.utf8))) }
        #expect(error.exitCode == 65 && error.description.contains("decay_steps is 61"), "\(error)")
    }

    @Test(
        arguments: [
            (.wsd, 5, 0.6, nil, "--decay-share is 0.6, expected 0 to 1, and of 10 steps no more than the 5"),
            (.wsd, 0, 1.5, nil, "--decay-share is 1.5"), (.wsd, 0, -0.5, nil, "--decay-share is -0.5"),
            (.wsd, 0, .nan, nil, "--decay-share is nan"),
            (.cosine, 0, 0.5, nil, "--decay-share is 0.5, expected no value"),
            (.constant, 0, 0.0, nil, "--decay-share is 0.0, expected no value"),
            (.wsd, 0, 0.5, 5, "--decay-steps and --decay-share exclude each other"),
        ] as [(LearningRateSchedule.Kind, Int, Double, Int?, String)])
    func aShareThatIsRefused(
        kind: LearningRateSchedule.Kind, warmup: Int, share: Double, steps: Int?, message: String
    ) throws {
        let error = try #require(throws: ExitError.self) {
            try LearningRateSchedule(
                kind: kind, base: 1, warmupSteps: warmup, totalSteps: 10, decaySteps: steps, decayShare: share)
        }
        #expect(error.exitCode == 64 && error.description.hasPrefix(message), "\(error)")
    }

    /// A file without a shape is one from before there was a choice.
    @Test(arguments: LearningRateSchedule.DecayShape.allCases)
    func theShapeIsStored(shape: LearningRateSchedule.DecayShape) throws {
        let schedule = try schedule(.wsd, base: 8, warmup: 2, total: 10, decay: 4, shape: shape)
        let text = String(decoding: schedule.json.pretty, as: UTF8.self)
        #expect(try LearningRateSchedule(JSON(Array(text.utf8))) == schedule)
        #expect(text.contains("decay_shape") == (shape == .linear))
        #expect(schedule.options.contains { $0 == ("decay-shape", shape.rawValue) })
        guard shape == .linear else { return }
        for word in ["\"cubic\"", "3"] {
            let wrong = text.replacing("\"linear\"", with: word)
            let error = #expect(throws: (any Error).self) { try LearningRateSchedule(JSON(Array(wrong.utf8))) }
            #expect(error.map { exitCode(of: $0) } == .badInput, "\(word)")
        }
    }

    @Test(arguments: LearningRateSchedule.Kind.allCases.filter { $0 != .wsd })
    func aStraightDecayIsOfWSDAlone(kind: LearningRateSchedule.Kind) throws {
        let error = try #require(throws: ExitError.self) { try schedule(kind, warmup: 0, total: 10, shape: .linear) }
        #expect(error.exitCode == 64)
        #expect(error.description == "--decay-shape is linear, expected no value: only --schedule wsd has it")
    }

    @Test func decayStepsBelongToStableDecayOnly() {
        #expect(throws: ExitError.self) { try schedule(.cosine, warmup: 0, total: 10, decay: 3) }
        #expect(throws: ExitError.self) { try schedule(.wsd, warmup: 5, total: 10, decay: 6) }
        #expect(throws: ExitError.self) { try schedule(.wsd, warmup: 5, total: 10, decay: -1) }
    }
}
