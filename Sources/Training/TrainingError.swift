import Basics

/// An error of a training run that a user can cause or must know of, as one line and an exit code.
package struct TrainingError: ExitCoded, Equatable {
    /// What happened, which value, what was expected, what to do.
    package let description: String
    /// The process's exit code.
    package let exitCode: ExitCode

    package init(_ exitCode: ExitCode, _ description: String) {
        self.exitCode = exitCode
        self.description = description
    }

    static func usage(_ description: String) -> TrainingError { TrainingError(.usage, description) }
    static func badInput(_ description: String) -> TrainingError { TrainingError(.badInput, description) }
}
