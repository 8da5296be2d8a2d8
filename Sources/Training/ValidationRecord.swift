import Checkpointing

/// The newest and the best validation loss of a run, both of the same set of sequences.
struct ValidationRecord {
    private(set) var newest: Double?
    private(set) var best: Double?
    /// What both are of.
    private(set) var set: TrainerState.ValidationSet?

    init() {}

    /// Goes on from a saved state. Losses of another set than the run's own are forgotten, and a line says so; without
    /// validation data they stay as they are.
    init(_ state: TrainerState?, set: TrainerState.ValidationSet?, _ reporter: any Reporter) {
        guard let state, let best = state.bestValidationLoss else { return }
        guard set == nil || set == state.validationSet else {
            reporter.line(
                "validation: other sequences than the checkpoint's, so its best loss \(best) is not compared; the best "
                    + "starts anew")
            return
        }
        (newest, self.best, self.set) = (state.lastValidationLoss, best, state.validationSet)
    }

    /// Takes in an evaluation's loss. All are of one set: that of the run's evaluator.
    mutating func add(_ loss: Double, of set: TrainerState.ValidationSet) {
        guard loss.isFinite else { return }
        newest = loss
        best = min(best ?? .infinity, loss)
        self.set = set
    }
}
