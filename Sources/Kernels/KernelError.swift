import Basics

/// A kernel that cannot be set up on this machine, or that failed.
package struct KernelError: ExitCoded {
    /// One line: what happened, with which shape, what to do.
    package var description: String
    /// 64 where the sizes that the user gave ask for too much, 70 where a library failed.
    package var exitCode = ExitCode.internalError
    /// oneDNN has no code for it on this CPU.
    var isUnimplemented = false

    static func noMemory(bytes: Int) -> KernelError {
        let amount = bytes == .max ? "more than \(Int.max)" : "another \(bytes)"
        return KernelError(
            description: "the system has no room for \(amount) bytes of memory; use a smaller --micro-batch or model "
                + "or fewer ranks on this host, or raise the limit (ulimit -v)",
            exitCode: .usage)
    }
}
