import Collectives

// What the launcher's environment variables say, before and after MPI is started: pure functions of an environment.
//
// Two traps: a launcher of another MPI than the library gives N processes that each see a world of one; and the shell
// of a Slurm batch job has SLURM_ variables too, so only a task that got a PMI or PMIx rank counts as started by srun.

extension MPICommunicator {
    /// Whether a launcher started this process as a rank, so that MPI should be started.
    package static func isLaunchedByMPI(environment: [String: String]) -> Bool {
        rankNames.contains { environment[$0] != nil } || sizeNames.contains { environment[$0] != nil }
    }

    /// How many ranks the launcher says that it started; nil when there is none, or it does not say.
    package static func launcherWorldSize(environment: [String: String]) -> Int? {
        let isTask = environment["PMIX_RANK"] != nil || environment["PMI_RANK"] != nil
        let number = firstNumber(sizeNames + (isTask ? slurmSizeNames : []), in: environment)
        return number.flatMap { $0 >= 1 ? $0 : nil }
    }

    /// This process's rank as the launcher counts, for messages before MPI runs; nil without a launcher.
    package static func launcherRank(environment: [String: String]) -> Int? {
        firstNumber(rankNames + ["SLURM_PROCID"], in: environment)
    }

    /// What is wrong when srun started several tasks but gave none of them a PMI: each would be rank 0 of 1. Nil
    /// elsewhere; the shell of a batch job is in no step.
    package static func lonelyTasks(environment: [String: String]) -> CollectiveError? {
        guard !isLaunchedByMPI(environment: environment),
            let tasks = firstNumber(["SLURM_STEP_NUM_TASKS"], in: environment), tasks > 1
        else { return nil }
        return CollectiveError(
            operation: "start", rank: launcherRank(environment: environment) ?? 0,
            reason:
                "srun started \(tasks) tasks that cannot see each other; start with launch/slurm or mpirun, or with "
                + "srun --mpi=pmix where Slurm and the MPI library have it",
            exitCode: .ranksDisagree)
    }

    /// What is wrong when the launcher and the library see different worlds; nil when they agree.
    package static func mismatch(environment: [String: String], worldSize: Int, library: String) -> String? {
        guard let started = launcherWorldSize(environment: environment), started != worldSize else { return nil }
        let launcher =
            environment["OMPI_COMM_WORLD_SIZE"] != nil
            ? "mpirun" : environment["SLURM_PROCID"] != nil ? "srun" : "mpiexec"
        return "launcher and MPI library do not match: \(launcher) started \(started) ranks, but this MPI library sees "
            + "\(worldSize); start with the mpirun of the same MPI (\(library)), or srun with the PMI that it was built for"
    }

    private static let sizeNames = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
    private static let slurmSizeNames = ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS"]
    private static let rankNames = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"]

    private static func firstNumber(_ names: [String], in environment: [String: String]) -> Int? {
        names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
    }
}
