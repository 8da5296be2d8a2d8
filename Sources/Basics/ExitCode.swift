/// How a process ends, for scripts: the one list of it. docs/distributed.md has the table.
package struct ExitCode: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral, CaseIterable {
    /// What the operating system sees: 0 to 255.
    package let rawValue: Int32

    package init(rawValue: Int32) { self.rawValue = rawValue }
    package init(integerLiteral value: Int32) { rawValue = value }

    /// Done.
    package static let success: ExitCode = 0
    /// A flag or value that cannot be used.
    package static let usage: ExitCode = 64
    /// An input that is there but is not what it should be.
    package static let badInput: ExitCode = 65
    /// An input that is missing or cannot be read.
    package static let missingInput: ExitCode = 66
    /// This program or its libraries are at fault.
    package static let internalError: ExitCode = 70
    /// An output that cannot be created.
    package static let cannotCreate: ExitCode = 73
    /// A write that failed.
    package static let writeFailed: ExitCode = 74
    /// Stopped on request, with the state saved.
    package static let stopped: ExitCode = 75
    /// A peer hangs or is gone.
    package static let peerLost: ExitCode = 76
    /// The ranks disagree at the start.
    package static let ranksDisagree: ExitCode = 78
    /// A loss, gradient or weight is not finite.
    package static let notFinite: ExitCode = 79
    /// The ranks' weights have become different.
    package static let ranksDiverged: ExitCode = 80
    /// Another process uses the output directory.
    package static let inUse: ExitCode = 81

    package static let allCases: [ExitCode] = [
        success, usage, badInput, missingInput, internalError, cannotCreate, writeFailed, stopped, peerLost,
        ranksDisagree, notFinite, ranksDiverged, inUse,
    ]
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
