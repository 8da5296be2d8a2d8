import Basics

/// How many threads each rank uses, from the cores and the processor time that it may use.
package struct ThreadPlan {
    /// How many threads a rank can be asked to have.
    package static let counts = 1...1024
    /// Threads of this rank.
    package let threads: Int
    /// What the user should know about binding, if anything.
    package let advice: String?

    /// Takes `requested`, or this rank's share of what the ranks of the host may use together.
    /// - Throws: `ExitError` (64) for a number that no rank can have.
    package init(requested: Int?, ranksOnHost: Int, machine: Machine = Machine()) throws(ExitError) {
        let ranks = max(1, ranksOnHost)
        let allowed = machine.allowedProcessors
        let all = machine.processors
        // A rank that may run everywhere shares the cores with its neighbours; a bound one has its own.
        let isBound = allowed < all
        let cores = isBound ? machine.allowedCores : machine.allowedCores / ranks
        let paid = machine.quota.map { Int(min($0, 1e6)) / ranks }
        let share = min(max(1, min(cores, paid ?? cores)), Self.counts.upperBound)
        threads = requested ?? share
        guard Self.counts.contains(threads) else {
            throw .usage(
                "--threads is \(threads), expected a whole number from 1 to \(Self.counts.upperBound), or auto")
        }
        advice =
            if threads > allowed {
                "\(threads) threads on \(allowed) allowed \(allowed == 1 ? "processor" : "processors"): they will wait for "
                    + "each other; "
                    + (isBound
                        ? "start mpirun with --bind-to none or --map-by slot:PE=\(threads)" : "use --threads \(share)")
            } else if let quota = machine.quota, Double(threads * ranks) > quota.rounded(.up) {
                "\(ranks == 1 ? "" : "\(ranks) ranks of ")\(threads) threads, and the control group pays for "
                    + "\(fixed(quota, 1)) processors: the system will hold them up; "
                    + (threads > share ? "use --threads \(share)" : "start fewer ranks here")
            } else if requested == nil, isBound, ranks * allowed < all {
                "each rank is bound to \(allowed) of \(all) processors and \(all - ranks * allowed) stay idle; "
                    + "start mpirun with --bind-to none, or use launch/local"
            } else if threads * ranks > all {
                "\(ranks) ranks of \(threads) \(threads == 1 ? "thread" : "threads") on \(all) processors: "
                    + (threads > 1 ? "use --threads \(max(1, all / ranks))" : "start at most \(all) ranks here")
            } else {
                nil
            }
    }
}
