import Collectives
import Glibc
import TokenData

/// How many threads each rank uses, from the cores that it may run on.
struct ThreadPlan {
    /// How many threads a rank can be asked to have.
    static let counts = 1...1024
    /// Threads of this rank.
    let threads: Int
    /// What the user should know about binding, if anything.
    let advice: String?

    /// Takes `requested`, or the allowed cores divided by the ranks that share them.
    init(requested: Int?, communicator: any Communicator) {
        let allowed = allowedCoreCount()
        let online = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        // A rank that may run everywhere shares the cores with its neighbours; a bound one has its own.
        let isBound = allowed < online
        let share = max(1, isBound ? allowed : allowed / max(1, communicator.localSize))
        threads = requested ?? share
        let ranks = communicator.localSize
        if threads > allowed {
            advice =
                "\(threads) threads on \(allowed) allowed \(allowed == 1 ? "core" : "cores"): they will wait for each other; "
                + (isBound
                    ? "start mpirun with --bind-to none or --map-by slot:PE=\(threads)" : "use --threads \(share)")
        } else if requested == nil, isBound, ranks * allowed < online {
            advice =
                "each rank is bound to \(allowed) of \(online) cores and \(online - ranks * allowed) stay idle; "
                + "start mpirun with --bind-to none, or use launch/local"
        } else if threads * ranks > online {
            let share = threads > 1 ? "use --threads \(max(1, online / ranks))" : "start at most \(online) ranks here"
            advice =
                "\(ranks) ranks of \(threads) \(threads == 1 ? "thread" : "threads") on \(online) cores: \(share)"
        } else {
            advice = nil
        }
    }
}
