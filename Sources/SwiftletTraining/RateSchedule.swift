internal import Optimization

/// A learning rate of a program's own, in the place of the curves of `schedule`.
///
/// It must be a pure function of the step, the same on every rank. Checkpoints keep its name and the rate that comes
/// next; a resume wants a schedule of that name which gives that rate, bit for bit, or `rewarm` to enter another one.
/// The curve's options (`schedule`, `warmup-steps`, `min-learning-rate` and those of the decay) have no part in it.
public protocol RateSchedule: Sendable {
    /// What checkpoints and the log call it.
    var name: String { get }
    /// The learning rate of an update: finite, 0 or more. Muon's is `muon-learning-rate` times this divided by
    /// `learning-rate`.
    /// - Parameter step: from 0. Past the last step of a run that one's rate holds.
    func rate(at step: Int) -> Double
}

extension RateSchedule {
    var hook: CustomSchedule { CustomSchedule(name: name) { [self] step in rate(at: step) } }
}
