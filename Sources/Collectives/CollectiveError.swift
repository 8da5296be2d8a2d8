import Basics

/// A collective that failed: what was called, on which rank, and what the library said.
package struct CollectiveError: ExitCoded, Equatable {
    /// The collective, by its name in this module.
    package let operation: String
    /// The rank that saw the failure.
    package let rank: Int
    /// The library's text, with its code where it has one.
    package let reason: String
    /// The process's exit code for this failure: 76 (a peer hangs or is gone) unless it is of another kind.
    package let exitCode: ExitCode

    package init(operation: String, rank: Int, reason: String, exitCode: ExitCode = .peerLost) {
        self.operation = operation
        self.rank = rank
        self.reason = reason
        self.exitCode = exitCode
    }

    package var description: String {
        let advice =
            exitCode == .peerLost
            ? "; another rank is probably gone, and its own message says why; the same command goes on from the newest "
                + "checkpoint" : ""
        return "\(operation) failed on rank \(rank): \(reason)\(advice)"
    }
}
