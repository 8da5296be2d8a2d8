/// How a process ends, for scripts: the one list of it. docs/distributed.md has the table.
package enum ExitCode: Int32, CaseIterable, Sendable, ExpressibleByIntegerLiteral {
    /// Done.
    case success = 0
    /// A flag or value that cannot be used.
    case usage = 64
    /// An input that is there but is not what it should be.
    case badInput = 65
    /// An input that is missing or cannot be read.
    case missingInput = 66
    /// This program or its libraries are at fault.
    case internalError = 70
    /// An output that cannot be created.
    case cannotCreate = 73
    /// A write that failed.
    case writeFailed = 74
    /// Stopped on request, with the state saved.
    case stopped = 75
    /// A peer hangs or is gone.
    case peerLost = 76
    /// The ranks disagree at the start.
    case ranksDisagree = 78
    /// A loss, gradient or weight is not finite.
    case notFinite = 79
    /// The ranks' weights have become different.
    case ranksDiverged = 80
    /// Another process uses the output directory.
    case inUse = 81

    /// One of them by its number; for any other number `internalError`.
    package init(integerLiteral value: Int32) { self = Self(rawValue: value) ?? .internalError }
}

/// An error that knows its exit code. Its description is the one line that the user sees: what happened, which value,
/// what was expected, what to do.
package protocol ExitCoded: Error, CustomStringConvertible {
    /// What the process ends with.
    var exitCode: ExitCode { get }
}

/// An error that is its exit code and its line: most of those that a user can cause.
package struct ExitError: ExitCoded, Equatable {
    package let exitCode: ExitCode
    package let description: String

    package init(_ exitCode: ExitCode, _ description: String) {
        self.exitCode = exitCode
        self.description = description
    }
}

/// The exit code for any error: its own, or `internalError`.
package func exitCode(of error: any Error) -> ExitCode { (error as? any ExitCoded)?.exitCode ?? .internalError }
