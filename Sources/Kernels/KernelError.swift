import Basics

/// A kernel that cannot be set up on this machine.
public struct KernelError: ExitCoded {
    /// One line: what happened, with which shape, what to do.
    public let description: String
    /// The exit code of the process: an internal error, as no input of the user's leads here.
    public var exitCode: ExitCode { .internalError }

    /// oneDNN has no code for it on this CPU.
    let isUnimplemented: Bool

    init(_ description: String, isUnimplemented: Bool = false) {
        self.description = description
        self.isUnimplemented = isUnimplemented
    }
}
