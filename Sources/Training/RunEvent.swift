import Basics

/// How the log is written (`--log-format`).
package enum LogFormat: String, CaseIterable, Sendable {
    /// Lines for people.
    case text
    /// One JSON object a line.
    case json
}

/// Something that a run says.
package enum RunEvent: Sendable {
    /// A line that has no other form.
    case message(String)
    /// What the user should know of.
    case warning(String)
    /// A step's log line.
    case step(StepMetrics, text: String)
    /// A checkpoint is there for good.
    /// - Parameter bestLoss: where it is the one of the lowest validation loss.
    case checkpoint(name: String, step: Int, bestLoss: Double?)
    /// What the model wrote.
    case sample(TextSample)
    /// The run ends before its last step.
    case stopped(step: Int, text: String)

    /// Its lines of the log, for people.
    package var lines: [String] {
        switch self {
        case .message(let text), .warning(let text), .step(_, let text), .stopped(_, let text): [text]
        case .checkpoint(let name, _, let loss):
            ["checkpoint saved \(name)" + (loss.map { "  best validation loss \(fixed($0, 4))" } ?? "")]
        case .sample(let sample): sample.logLines
        }
    }

    /// Its line of a log for programs: an object with `time` and `event` before all else.
    /// - Parameter time: as `timestamp` writes it.
    package func json(time: String) -> String {
        let (name, members): (String, [(String, JSONText)]) =
            switch self {
            case .message(let text): ("message", [("message", .string(text))])
            case .warning(let text): ("warning", [("message", .string(text))])
            case .step(let metrics, _): ("step", metrics.members)
            case .checkpoint(let name, let step, let loss):
                (
                    "checkpoint",
                    [("step", .number(step)), ("name", .string(name))]
                        + (loss.map { [("best_val_loss", .number($0))] } ?? [])
                )
            case .sample(let sample): ("sample", sample.members)
            case .stopped(let step, let text): ("stopped", [("step", .number(step)), ("message", .string(text))])
            }
        return JSONText.object([("time", .string(time)), ("event", .string(name))] + members).text
    }
}
