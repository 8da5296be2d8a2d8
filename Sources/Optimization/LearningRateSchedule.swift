import Basics
import Glibc

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
///     wsd        1 until D = `decaySteps` before the end, then 1 − √((k − (S − D)) / D), or (S − k) / D where its
///                decay is a straight line
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

    /// How `wsd` comes down; raw values are the words of `--decay-shape`.
    package enum DecayShape: String, CaseIterable, Sendable {
        /// Steep first: what there was before there was a choice.
        case sqrt
        /// A straight line.
        case linear
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
        /// Muon's, in a run that has it.
        package let muonFrom: Double?

        package init(start: Int, steps: Int, from: Double, muonFrom: Double? = nil) {
            (self.start, self.steps, self.from, self.muonFrom) = (start, steps, from, muonFrom)
        }
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
    /// The part of S that D is, where it was given so: a longer run keeps this, and D where it was not.
    package let decayShare: Double?
    /// How `wsd` decays; `sqrt` for every other kind.
    package let decayShape: DecayShape
    /// Muon's peak rate, in a run that has it: its rate follows the same curve.
    package let muonBase: Double?
    /// A second warm-up after a resume, where one was asked for.
    package let rewarm: Rewarm?
    /// A program's own curve in place of the kind's.
    package internal(set) var custom: CustomSchedule?

    /// The largest step that a schedule or a checkpoint name can hold (12 digits).
    package static let largestStep = 999_999_999_999

    /// Checks every value; throws `ExitError` (64) that names the option.
    ///
    /// - Parameters:
    ///   - decaySteps: for `wsd` only.
    ///   - decayShare: the same as a part of `totalSteps`, from 0 to 1; when both are nil, `standardDecay`.
    package init(
        kind: Kind = .cosine, base: Double, warmupSteps: Int, totalSteps: Int, minimum: Double = 0,
        decaySteps: Int? = nil, decayShare: Double? = nil, decayShape: DecayShape = .sqrt,
        muonBase: Double? = nil, rewarm: Rewarm? = nil
    ) throws(ExitError) {
        func require(_ fits: Bool, _ option: String, _ value: Any, _ expected: String) throws(ExitError) {
            guard fits else { throw ExitError(.usage, "\(option) is \(value), expected \(expected)") }
        }
        func requireSteps(_ option: String, _ value: Int, from least: Int) throws(ExitError) {
            try require(
                (least...Self.largestStep).contains(value), option, value,
                "a whole number from \(least) to \(Self.largestStep)")
        }
        func requireRate(_ option: String, _ value: Double) throws(ExitError) {
            try require(value.isFinite && value >= 0, option, value, "a finite number, 0 or more")
        }
        try requireRate("--learning-rate", base)
        if let muonBase { try requireRate("--muon-learning-rate", muonBase) }
        try requireSteps("--steps", totalSteps, from: 1)
        try requireSteps("--warmup-steps", warmupSteps, from: 0)
        let rates = "a number from 0 to the learning rate \(base)"
        try require(minimum >= 0 && minimum <= base, "--min-learning-rate", minimum, rates)
        guard decaySteps == nil || decayShare == nil else {
            throw ExitError(.usage, "--decay-steps and --decay-share exclude each other; give one of them")
        }
        let left = max(0, totalSteps - warmupSteps)
        if let decayShare {
            let fits = (0...1).contains(decayShare) && Self.steps(decayShare, of: totalSteps) <= left
            try require(
                fits && kind == .wsd, "--decay-share", decayShare,
                kind == .wsd
                    ? "0 to 1, and of \(totalSteps) steps no more than the \(left) that the warm-up leaves"
                    : "no value: only --schedule wsd has it")
        }
        let standard = kind == .wsd ? Self.standardDecay(totalSteps: totalSteps, warmupSteps: warmupSteps) : 0
        self.decaySteps = decayShare.map { Self.steps($0, of: totalSteps) } ?? decaySteps ?? standard
        self.decayShare = decayShare
        self.decayShape = decayShape
        try require(
            (0...(kind == .wsd ? left : 0)).contains(self.decaySteps), "--decay-steps", self.decaySteps,
            kind == .wsd ? "0 to \(left), the steps that the warm-up leaves" : "no value: only --schedule wsd has it")
        try require(
            kind == .wsd || decayShape == .sqrt, "--decay-shape", decayShape.rawValue,
            "no value: only --schedule wsd has it")
        if let rewarm {
            try requireSteps("--rewarm", rewarm.steps, from: 1)
            try requireSteps("rewarm start", rewarm.start, from: 0)
            try requireRate("rewarm from", rewarm.from)
            try requireRate("rewarm muon_from", rewarm.muonFrom ?? 0)
        }
        self.kind = kind
        self.base = base
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
        self.minimum = minimum
        self.muonBase = muonBase
        self.rewarm = rewarm
    }

    /// D where none is given: a fifth of the run, or what the warm-up leaves of it.
    static func standardDecay(totalSteps: Int, warmupSteps: Int) -> Int {
        min(max(0, totalSteps - warmupSteps), (totalSteps + 4) / 5)
    }

    /// The steps that a share from 0 to 1 of a run makes, to the nearest.
    package static func steps(_ share: Double, of totalSteps: Int) -> Int {
        Int((share * Double(totalSteps)).rounded())
    }

    /// What flags define, by the options' names: the same curve has the same ones, so a decay stands here in steps. A
    /// second warm-up belongs to a run.
    package var options: [(name: String, value: String)] {
        let muon = muonBase.map { [("muon-learning-rate", "\($0)")] } ?? []
        guard custom == nil else { return [("learning-rate", "\(base)"), ("steps", "\(totalSteps)")] + muon }
        return [
            ("schedule", kind.rawValue), ("learning-rate", "\(base)"), ("warmup-steps", "\(warmupSteps)"),
            ("steps", "\(totalSteps)"), ("min-learning-rate", "\(minimum)"), ("decay-steps", "\(decaySteps)"),
            ("decay-shape", decayShape.rawValue),
        ] + muon
    }

    /// The learning rate of update number `step` (from 0).
    ///
    /// - Precondition: `step` is not negative.
    package func rate(at step: Int) -> Double { rate(at: step, from: rewarm?.from) { $0 } }

    /// Muon's learning rate of update number `step`: its peak rate times the part of `base` that the curve has there, 0
    /// where `base` is 0; a second warm-up is a straight line for it too. Nil in a run without Muon.
    package func muonRate(at step: Int) -> Double? {
        muonBase.map { peak in rate(at: step, from: rewarm?.muonFrom) { base > 0 ? peak * ($0 / base) : 0 } }
    }

    /// What `scaled` makes of the curve, entered from `start` where there is a second warm-up.
    private func rate(at step: Int, from start: Double?, _ scaled: (Double) -> Double) -> Double {
        precondition(step >= 0, "a schedule has no step below 0")
        let held = min(step, totalSteps)
        let target = scaled(plainRate(at: held))
        guard let rewarm, held >= rewarm.start, held - rewarm.start < rewarm.steps - 1 else { return target }
        let share = Double(held - rewarm.start + 1) / Double(rewarm.steps)
        let start = start ?? 0
        return start + (target - start) * share
    }

    /// The curve without the second warm-up, for 0 ≤ k ≤ S. The order of the operations is the formula's, left to
    /// right, so that the numbers are those of the same formula in Python, bit for bit.
    private func plainRate(at k: Int) -> Double {
        if let rate = custom?.rate { return rate(k) }
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
            switch decayShape {
            case _ where into <= 0: factor = 1
            case .sqrt: factor = 1 - (Double(into) / Double(decaySteps)).squareRoot()
            case .linear: factor = Double(totalSteps - k) / Double(decaySteps)
            }
        }
        return minimum + (base - minimum) * factor
    }
}
