#if canImport(Glibc)
    import Glibc
#endif

/// The learning rate as a pure function of the optimizer step, computed in Double, with no hidden state.
///
/// Update number k (from 0) uses `rate(at: k)`. With W warm-up steps, S steps in all and the base rate:
///
///     rate(k) = base · (k + 1) / max(1, W)                     k < W: linear warm-up
///     rate(k) = minimum + (base − minimum) · λ(k)              W ≤ k ≤ S, λ by kind:
///
///     cosine     ½ · (1 + cos(π · (k − W) / max(1, S − W)))
///     linear     (S − k) / (S − W)
///     constant   the base rate itself
///     wsd        1 until D = `decaySteps` before the end, then 1 − √((k − (S − D)) / D)
///
/// Past S the value at S holds. W = 0 and W ≥ S are legal: with W > S the run ends inside its warm-up.
/// Nothing depends on ranks, micro-batches or accumulation: only the optimizer's step moves the rate.
package struct LearningRateSchedule: Equatable, Sendable {
    /// The shape of the curve after the warm-up; raw values are the words of `--schedule`.
    package enum Kind: String, CaseIterable, Sendable {
        case cosine
        case linear
        case constant
        case wsd
    }

    /// A second warm-up after a resume (`--rewarm`): from the rate that the saved run would have used next, linearly
    /// to this schedule's own rate, so that a new curve is entered without a jump.
    package struct Rewarm: Equatable, Sendable {
        /// The step of the resume: the first update of the new warm-up.
        package let start: Int
        /// How many updates it takes; the last of them uses the schedule's own rate.
        package let steps: Int
        /// The rate that it starts from.
        package let from: Double
    }

    /// The shape after the warm-up.
    package let kind: Kind
    /// The peak rate, reached by the last warm-up step.
    package let base: Double
    /// W: updates of linear warm-up.
    package let warmupSteps: Int
    /// S: updates of the whole run; past it the rate holds.
    package let totalSteps: Int
    /// Where the decay ends. The warm-up starts near 0 all the same, and `constant` never decays.
    package let minimum: Double
    /// D: updates of the final decay of `wsd`; 0 for every other kind.
    package let decaySteps: Int
    /// A second warm-up after a resume, where one was asked for.
    package let rewarm: Rewarm?

    /// The largest step that a schedule or a checkpoint name can hold (12 digits).
    package static let largestStep = 999_999_999_999

    /// Checks every value; throws `ScheduleError` (exit code 64) that names the option.
    ///
    /// - Parameter decaySteps: for `wsd` only; when nil, a fifth of the run, or what the warm-up leaves of it.
    package init(
        kind: Kind = .cosine, base: Double, warmupSteps: Int, totalSteps: Int, minimum: Double = 0,
        decaySteps: Int? = nil, rewarm: Rewarm? = nil
    ) throws(ScheduleError) {
        func require(_ condition: Bool, _ option: String, _ value: String, _ expected: String) throws(ScheduleError) {
            guard condition else { throw .invalid(option: option, value: value, expected: expected) }
        }
        let steps = "a whole number from 1 to \(Self.largestStep)"
        try require(base.isFinite && base >= 0, "--learning-rate", "\(base)", "a finite number, 0 or more")
        try require((1...Self.largestStep).contains(totalSteps), "--steps", "\(totalSteps)", steps)
        try require(
            (0...Self.largestStep).contains(warmupSteps), "--warmup-steps", "\(warmupSteps)",
            "a whole number from 0 to \(Self.largestStep)")
        try require(
            minimum.isFinite && minimum >= 0 && minimum <= base, "--min-learning-rate", "\(minimum)",
            "a number from 0 to the learning rate \(base)")
        let left = max(0, totalSteps - warmupSteps)
        if kind == .wsd {
            let chosen = decaySteps ?? min(left, (totalSteps + 4) / 5)
            try require(
                (0...left).contains(chosen), "--decay-steps", "\(chosen)",
                "0 to \(left), the steps that the warm-up leaves")
            self.decaySteps = chosen
        } else {
            try require(
                (decaySteps ?? 0) == 0, "--decay-steps", "\(decaySteps ?? 0)", "no value: only --schedule wsd has it")
            self.decaySteps = 0
        }
        if let rewarm {
            try require(
                (1...Self.largestStep).contains(rewarm.steps), "--rewarm", "\(rewarm.steps)", steps)
            try require(
                (0...Self.largestStep).contains(rewarm.start), "rewarm start", "\(rewarm.start)", steps)
            try require(
                rewarm.from.isFinite && rewarm.from >= 0, "rewarm from", "\(rewarm.from)", "a finite number, 0 or more")
        }
        self.kind = kind
        self.base = base
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
        self.minimum = minimum
        self.rewarm = rewarm
    }

    /// The learning rate of update number `step` (from 0).
    ///
    /// - Precondition: `step` is not negative.
    package func rate(at step: Int) -> Double {
        precondition(step >= 0, "a schedule has no step below 0")
        let held = min(step, totalSteps)
        let target = plainRate(at: held)
        guard let rewarm, held >= rewarm.start, held - rewarm.start < rewarm.steps - 1 else { return target }
        let share = Double(held - rewarm.start + 1) / Double(rewarm.steps)
        return rewarm.from + (target - rewarm.from) * share
    }

    /// True for an update that the schedule was not made for: it uses the rate at S, and the caller warns.
    package func isPastHorizon(_ step: Int) -> Bool { step > totalSteps }

    /// The curve without the second warm-up, for 0 ≤ k ≤ S. The order of the operations is the formula's, left to
    /// right, so that the numbers are those of the same formula in Python, bit for bit.
    private func plainRate(at k: Int) -> Double {
        if k < warmupSteps { return base * ((Double(k) + 1) / Double(warmupSteps)) }
        let factor: Double
        switch kind {
        case .constant:
            return base
        case .cosine:
            let decay = Double(max(1, totalSteps - warmupSteps))
            factor = 0.5 * (1 + cos(Double.pi * Double(k - warmupSteps) / decay))
        case .linear:
            factor = totalSteps > warmupSteps ? Double(totalSteps - k) / Double(totalSteps - warmupSteps) : 1
        case .wsd:
            let into = k - (totalSteps - decaySteps)
            factor = into > 0 ? 1 - (Double(into) / Double(decaySteps)).squareRoot() : 1
        }
        return minimum + (base - minimum) * factor
    }
}
