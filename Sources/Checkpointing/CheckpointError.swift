import Basics

/// What went wrong with a run directory, a checkpoint or a model file, in one line that says what to do.
package struct CheckpointError: ExitCoded, Equatable, Sendable {
    /// What a caller may want to decide on.
    package enum Kind: Equatable, Sendable {
        /// A flag's value that cannot be (exit code 64).
        case badOption
        /// The file or directory does not hold what it must (exit code 65).
        case invalid
        /// It is not there, or cannot be read (exit code 66).
        case missing
        /// The run directory cannot be made or written (exit code 73).
        case cannotCreate
        /// The checkpoint was not saved: what was there before is untouched (exit code 74).
        case notCommitted
        /// The checkpoint is in place, but may not survive a power cut: do not count on it (exit code 74).
        case durabilityUncertain
        /// This program or its libraries are at fault (exit code 70).
        case `internal`
        /// Another run holds the run directory (exit code 81).
        case inUse
    }

    /// What a caller may want to decide on.
    package let kind: Kind
    /// One line: what happened, which value, what was expected, what to do.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The same error with the exit code that it has.
    package init(_ error: FileSystemError) {
        let kind: Kind =
            switch error.exitCode {
            case .badInput: .invalid
            case .missingInput: .missing
            case .cannotCreate: .cannotCreate
            default: .notCommitted
            }
        self.init(kind, error.description)
    }

    package var exitCode: ExitCode {
        switch kind {
        case .badOption: .usage
        case .invalid: .badInput
        case .missing: .missingInput
        case .cannotCreate: .cannotCreate
        case .internal: .internalError
        case .notCommitted, .durabilityUncertain: .writeFailed
        case .inUse: .inUse
        }
    }

    package var description: String { message }
}

/// Runs `body`, whose file errors come out as `CheckpointError`.
func converting<Result>(_ body: () throws(FileSystemError) -> Result) throws(CheckpointError) -> Result {
    do throws(FileSystemError) {
        return try body()
    } catch {
        throw CheckpointError(error)
    }
}
