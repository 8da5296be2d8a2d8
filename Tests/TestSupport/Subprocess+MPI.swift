import Foundation

extension Subprocess {
    /// Runs a program on several ranks of this machine, more than it has cores if need be, also as root.
    ///
    /// - Throws: `Failure` when there is no mpirun: a multi-rank test that cannot run has failed.
    package static func mpirun(
        ranks: Int, executable: String, arguments: [String] = [], environment: [String: String] = [:],
        launcherArguments: [String] = [], workingDirectory: String? = nil, timeout: Double = 120
    ) throws -> Outcome {
        try startMPI(
            ranks: ranks, executable: executable, arguments: arguments, environment: environment,
            launcherArguments: launcherArguments, workingDirectory: workingDirectory
        ).wait(timeout: timeout)
    }

    /// Starts a program on several ranks of this machine and returns at once.
    package static func startMPI(
        ranks: Int, executable: String, arguments: [String] = [], environment: [String: String] = [:],
        launcherArguments: [String] = [], workingDirectory: String? = nil
    ) throws -> Subprocess {
        guard let launcher = find("mpirun", path: environment["PATH"]) else {
            throw Failure(
                description: "mpirun is not in PATH: the multi-rank tests need Open MPI (apt install openmpi-bin)")
        }
        let own = ["-np", String(ranks), "--oversubscribe", "--bind-to", "none"] + launcherArguments
        let root = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]
        return try Subprocess(
            launcher, own + [executable] + arguments, environment: root.merging(environment) { $1 },
            workingDirectory: workingDirectory)
    }

    /// The full path of a program in `path`, or in this process's PATH.
    package static func find(_ name: String, path: String? = nil) -> String? {
        (path ?? ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
