import Basics
import MPICollectives
import Testing

struct LauncherTests {
    @Test(
        arguments: [
            ([:], nil),
            (["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"], 4),
            (["PMI_SIZE": "3", "PMI_RANK": "0"], 3),
            // srun --mpi=pmix; the step's own number counts, not the job's.
            (["PMIX_RANK": "0", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "2"], 2),
            (["PMIX_RANK": "0", "SLURM_NTASKS": "8"], 8),
            (["PMI_RANK": "0", "SLURM_NPROCS": "6"], 6),
            // mpirun inside a Slurm job: mpirun's word is the nearer one.
            (["OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "0", "SLURM_NTASKS": "1"], 4),
            // The shell of a batch job is not a rank.
            (["SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8"], nil),
            (["OMPI_COMM_WORLD_SIZE": "four"], nil),
            (["OMPI_COMM_WORLD_SIZE": "0"], nil),
            (["PMIX_RANK": "0"], nil),
        ] as [([String: String], Int?)])
    func `The launcher's word on the number of ranks`(environment: [String: String], expected: Int?) {
        #expect(MPICommunicator.launcherWorldSize(environment: environment) == expected)
    }

    @Test func `Only a launcher's task starts MPI`() {
        func launched(_ environment: [String: String]) -> Bool {
            MPICommunicator.isLaunchedByMPI(environment: environment)
        }
        #expect(!launched([:]))
        #expect(!launched(["SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"]))
        #expect(launched(["SLURM_NTASKS": "8", "PMIX_RANK": "3"]))
        #expect(launched(["SLURM_NTASKS": "8", "PMI_RANK": "3"]))
        #expect(launched(["OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"]))
        #expect(launched(["PMI_SIZE": "2", "PMI_RANK": "0"]))
    }

    @Test func `A mismatch says what, which value and what to do`() {
        func problem(_ environment: [String: String], _ size: Int) -> String? {
            MPICommunicator.mismatch(environment: environment, worldSize: size, library: "Open MPI v4.1.4")
        }
        #expect(problem([:], 1) == nil)
        #expect(problem(["OMPI_COMM_WORLD_SIZE": "4"], 4) == nil)
        #expect(
            problem(["OMPI_COMM_WORLD_SIZE": "4"], 1)?.hasPrefix(
                "launcher and MPI library do not match: mpirun started 4 ranks, but this MPI library sees 1; "
                    + "start with the mpirun of the same MPI (Open MPI v4.1.4)") == true)
        #expect(
            problem(["PMIX_RANK": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"], 1)?.contains("srun started 2") == true
        )
        #expect(problem(["PMI_SIZE": "2", "PMI_RANK": "0"], 1)?.contains("mpiexec started 2") == true)
    }

    @Test func `L6: tasks of srun that cannot see each other are no runs of one rank each`() {
        func code(_ environment: [String: String]) -> ExitCode? {
            MPICommunicator.lonelyTasks(environment: environment)?.exitCode
        }
        let step = ["SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"]
        #expect(code(step) == .ranksDisagree)
        #expect(code(step.merging(["PMIX_RANK": "1"]) { $1 }) == nil)
        #expect(code(step.merging(["OMPI_COMM_WORLD_RANK": "1"]) { $1 }) == nil)
        // The shell of a batch job, and an interactive one.
        #expect(code(["SLURM_NTASKS": "8", "SLURM_PROCID": "0"]) == nil)
        #expect(code(["SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"]) == nil)
        #expect(code([:]) == nil)
    }

    @Test func `The launcher's rank is known before MPI runs`() {
        #expect(MPICommunicator.launcherRank(environment: [:]) == nil)
        #expect(MPICommunicator.launcherRank(environment: ["OMPI_COMM_WORLD_RANK": "2", "PMIX_RANK": "2"]) == 2)
        #expect(MPICommunicator.launcherRank(environment: ["PMI_RANK": "5"]) == 5)
        #expect(MPICommunicator.launcherRank(environment: ["SLURM_PROCID": "3"]) == 3)
    }
}
