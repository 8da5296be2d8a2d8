/// An error of a training run that a user can cause or must know of, as one line and an exit code.
public struct TrainingError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What happened, which value, what was expected, what to do.
    public let description: String
    /// The process's exit code.
    public let exitCode: Int32

    public init(_ exitCode: Int32, _ description: String) {
        self.exitCode = exitCode
        self.description = description
    }

    static func usage(_ description: String) -> TrainingError { TrainingError(64, description) }
    static func badInput(_ description: String) -> TrainingError { TrainingError(65, description) }
}
