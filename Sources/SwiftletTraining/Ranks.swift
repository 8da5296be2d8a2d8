internal import Basics
internal import Collectives
internal import FoundationEssentials
internal import MPICollectives
public import SwiftletTokenizer
internal import Training
internal import Watchdog

/// The processes that train together, as this one sees them: alone, or one of those that mpirun or srun started.
///
/// One in the life of a process, used by the thread that made it. A program that starts under mpirun makes it once,
/// gives it to everything that takes one, and ends with `leave()`.
public final class Ranks {
    let communicator: any Communicator
    private let watchdog: Watchdog?

    /// Joins the ranks that the launcher started; alone, MPI is never touched.
    /// - Parameter stepTimeout: seconds without progress in a run, at several ranks, after which the job ends with exit
    ///   code 76 and says who is missing; 0: never. The time of a program's own callbacks counts.
    /// - Throws: exit code 78 where the launcher speaks to another MPI than the one that is linked, 70 where MPI fails.
    public init(stepTimeout: Int = 0) throws(SwiftletError) {
        let environment = ProcessInfo.processInfo.environment
        guard MPICommunicator.isLaunchedByMPI(environment: environment) else {
            if let lonely = MPICommunicator.lonelyTasks(environment: environment) {
                throw SwiftletError("\(lonely)", exitCode: lonely.exitCode.rawValue)
            }
            communicator = SingleProcess()
            watchdog = nil
            return
        }
        let watchdog = Watchdog(
            rank: MPICommunicator.launcherRank(environment: environment) ?? 0,
            ranks: MPICommunicator.launcherWorldSize(environment: environment) ?? 1,
            stepTimeout: Double(stepTimeout), hasLauncher: true)
        communicator = try translated {
            let communicator = try StopRequest.holdingBack { try MPICommunicator(environment: environment) }
            Activity.enter(.setup)
            try watchdog.join(communicator)
            return communicator
        }
        self.watchdog = watchdog
    }

    /// This process's number, 0 ..< `count`.
    public var rank: Int { communicator.rank }
    /// How many there are.
    public var count: Int { communicator.worldSize }
    /// Whether this is rank 0, which speaks and writes files.
    public var isFirst: Bool { communicator.rank == 0 }
    /// What carries messages, for the log: `one process`, `Open MPI v4.1.4`.
    public var implementation: String { communicator.implementation }

    /// Returns when all ranks have called it: what rank 0 wrote before is there for all.
    /// - Throws: exit code 70 where MPI fails.
    public func meet() throws(SwiftletError) { try translated { try communicator.barrier() } }

    /// Waits for all ranks and ends MPI where it runs. All ranks call it, last.
    /// - Throws: exit code 70 where MPI fails.
    public func leave() throws(SwiftletError) {
        Activity.enter(.end)
        try translated { try (communicator as? MPICommunicator)?.shutdown() }
        watchdog?.stop()
    }

    /// Ends this process for an error, and the whole job where the other ranks do not have it: they would wait forever.
    /// The caller has said what it was.
    public func end(for error: SwiftletError) -> Never {
        let code = ExitCode(rawValue: error.exitCode) ?? .internalError
        if count > 1, !error.isShared { communicator.abort(code: code) }
        Activity.enter(.end)
        try? leave()
        SingleProcess().abort(code: code)
    }
}
