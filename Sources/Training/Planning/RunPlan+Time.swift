import Optimization

extension RunPlan.Time {
    /// Bytes a second that a disk is taken to write, for nothing is written to measure it.
    private static let diskSpeed = 1e9

    /// What a whole run takes, by what was measured of its parts.
    init(
        _ measured: PlanMeasurement, _ stages: [Range<Int>], _ plan: RunPlan, _ configuration: TrainingConfiguration
    ) {
        let (steps, done) = (plan.length.steps, plan.length.stepsDone)
        let bytes = Double(plan.checkpoints.bytes)
        measuredSteps = measured.steps
        evaluation = measured.evaluationSeconds
        checkpoint = bytes / measured.hashSpeed + bytes / Self.diskSpeed
        let (evaluation, checkpoint) = (evaluation, checkpoint)
        func seconds(of range: Range<Int>) -> Double {
            zip(stages, measured.stepSeconds).reduce(0) { $0 + Double($1.0.clamped(to: range).count) * $1.1 }
        }
        func seconds(after start: Int) -> Double {
            let evaluations = RunPlan.events(each: configuration.evalInterval, after: start, of: steps)
            let saves = RunPlan.events(each: configuration.checkpointInterval, after: start, of: steps)
            return seconds(of: start..<max(start, steps)) + Double(evaluations) * evaluation + Double(saves)
                * checkpoint
        }
        step = seconds(of: 0..<steps) / Double(steps)
        tokensPerSecond = step > 0 ? Double(plan.length.tokensPerStep) / step : 0
        (total, left) = (seconds(after: 0), seconds(after: done))
    }
}

extension RunPlan.Rates {
    /// Points of a curve.
    static let count = 60

    init(_ curve: LearningRateSchedule) {
        schedule = curve.kind.rawValue
        (peak, muonPeak) = (curve.base, curve.muonBase)
        warmupSteps = curve.warmupSteps
        let last = curve.totalSteps - 1
        let steps = (0..<Self.count).map { Int((Double($0) / Double(Self.count - 1) * Double(last)).rounded()) }
        points = steps.map { curve.rate(at: $0) }
        muonPoints = curve.muonBase == nil ? nil : steps.map { curve.muonRate(at: $0) ?? 0 }
    }
}
