/// How a process ends, for scripts: the one list of it. docs/distributed.md has the table.
public struct ExitCode: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral, CaseIterable {
    /// What the operating system sees: 0 to 255.
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }
    public init(integerLiteral value: Int32) { rawValue = value }

    /// Done.
    public static let success: ExitCode = 0
    /// A flag or value that cannot be used.
    public static let usage: ExitCode = 64
    /// An input that is there but is not what it should be.
    public static let badInput: ExitCode = 65
    /// An input that is missing or cannot be read.
    public static let missingInput: ExitCode = 66
    /// This program or its libraries are at fault.
    public static let internalError: ExitCode = 70
    /// An output that cannot be created.
    public static let cannotCreate: ExitCode = 73
    /// A write that failed.
    public static let writeFailed: ExitCode = 74
    /// Stopped on request, with the state saved.
    public static let stopped: ExitCode = 75
    /// A peer hangs or is gone.
    public static let peerLost: ExitCode = 76
    /// The ranks disagree at the start.
    public static let ranksDisagree: ExitCode = 78
    /// A loss, gradient or weight is not finite.
    public static let notFinite: ExitCode = 79
    /// The ranks' weights have become different.
    public static let ranksDiverged: ExitCode = 80
    /// Another process uses the output directory.
    public static let inUse: ExitCode = 81

    public static let allCases: [ExitCode] = [
        success, usage, badInput, missingInput, internalError, cannotCreate, writeFailed, stopped, peerLost,
        ranksDisagree, notFinite, ranksDiverged, inUse,
    ]
}

/// An error that knows its exit code. Its description is the one line that the user sees: what happened, which value,
/// what was expected, what to do.
public protocol ExitCoded: Error, CustomStringConvertible {
    /// What the process ends with.
    var exitCode: ExitCode { get }
}

/// The exit code for any error: its own, or `internalError`.
public func exitCode(of error: any Error) -> ExitCode { (error as? any ExitCoded)?.exitCode ?? .internalError }
