/// Keeps what the setup of a run says, for the plan to print.
final class PlanReporter: Reporter {
    private(set) var notes: [String] = []
    private(set) var warnings: [String] = []

    func line(_ text: String) { notes.append(text) }
    func warning(_ text: String) { warnings.append(text) }
}
