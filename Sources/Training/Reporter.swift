/// Where a run's words go. Rank 0 has one that writes; the others have `SilentReporter`.
package protocol Reporter: AnyObject {
    /// Whether a live display is shown, for which some things are measured.
    var isLive: Bool { get }
    /// A line of the log.
    func line(_ text: String)
    /// Something that the user should know of, while the run goes on.
    func warning(_ text: String)
    /// Something that has a form of its own in a log for programs; its lines otherwise.
    func event(_ event: RunEvent)
    /// Where the run stands after a step, for a live display.
    func progress(_ moment: RunMoment)
}

extension Reporter {
    package var isLive: Bool { false }
    package func event(_ event: RunEvent) { event.lines.forEach(line) }
    package func progress(_ moment: RunMoment) {}
}

/// Says nothing.
package final class SilentReporter: Reporter {
    package init() {}
    package func line(_ text: String) {}
    package func warning(_ text: String) {}
}
