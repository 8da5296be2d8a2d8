/// An error of tokenizers, shards and batches that a user can cause, as one line and an exit code.
public struct TokenDataError: Error, Equatable, CustomStringConvertible {
    /// What kind of error it is; fixes the exit code.
    public enum Kind: Int32, Sendable {
        /// A flag or value that cannot be used.
        case usage = 64
        /// An input that is there but is not what it should be.
        case badData = 65
        /// An input that is missing or cannot be read.
        case missingInput = 66
        /// An output that cannot be created.
        case cannotCreate = 73
        /// A write that failed.
        case writeFailed = 74
        /// An output directory that another process is writing.
        case inUse = 81
    }

    /// What kind of error it is.
    public let kind: Kind
    /// What happened, which value, what was expected, what to do: one line.
    public let description: String

    /// An error of `kind` with its line.
    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// The process's exit code for this error.
    public var exitCode: Int32 { kind.rawValue }
}
