import Basics

/// An error of tokenizers, shards and batches that a user can cause, as one line and an exit code.
package struct TokenDataError: ExitCoded, Equatable {
    package let exitCode: ExitCode
    /// What happened, which value, what was expected, what to do: one line.
    package let description: String

    /// An error with its line.
    package init(_ exitCode: ExitCode, _ description: String) {
        self.exitCode = exitCode
        self.description = description
    }
}
