import Basics

/// A kernel that cannot be set up on this machine, or that failed.
package struct KernelError: ExitCoded {
    /// One line: what happened, with which shape, what to do.
    package let description: String
    /// 64 where the sizes that the user gave ask for too much, 70 where a library failed.
    package let exitCode: ExitCode

    /// oneDNN has no code for it on this CPU.
    let isUnimplemented: Bool

    init(_ description: String, exitCode: ExitCode = .internalError, isUnimplemented: Bool = false) {
        self.description = description
        self.exitCode = exitCode
        self.isUnimplemented = isUnimplemented
    }

    static func noMemory(bytes: Int) -> KernelError {
        KernelError(
            "the system has no room for \(bytes == .max ? "more than \(Int.max)" : "another \(bytes)") bytes of memory; "
                + "use a smaller --micro-batch or model or fewer ranks on this host, or raise the limit (ulimit -v)",
            exitCode: .usage)
    }
}
