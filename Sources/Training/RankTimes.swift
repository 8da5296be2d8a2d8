import Basics
import Collectives

/// The rank that takes longest for its own part of the steps, and so holds the others up.
package struct SlowestRank: Equatable, Sendable {
    package let rank: Int
    package let host: String
    /// By which part its own time is above the median of all ranks': 0.1 for a tenth.
    package let excess: Double

    /// - Parameters:
    ///   - seconds: each rank's own time, without what it waited for others.
    ///   - hosts: the ranks' hosts.
    /// - Returns: nil for one rank alone, and where nothing was measured. Of equal ones the lowest.
    package init?(_ seconds: [Double], hosts: [String]) {
        let middle = median(seconds)
        guard seconds.count > 1, hosts.count == seconds.count, middle > 0, let longest = seconds.max(),
            let rank = seconds.firstIndex(of: longest)
        else { return nil }
        self.rank = rank
        host = hosts[rank]
        excess = longest / middle - 1
    }
}

/// Each rank's own time since the newest log line. The ranks tell each other with a log line, so a step has no message more.
struct RankTimes {
    /// Seconds of steps on this rank, without what it waited in calls that need other ranks.
    private var own = 0.0
    /// Rank 0's, once they have been told.
    private var hosts: [String]?
    private var waited = Activity.waitedNanoseconds

    /// To be called before a step.
    mutating func begin() { waited = Activity.waitedNanoseconds }

    /// Adds a step of so many seconds that ends now.
    mutating func end(seconds: Double) {
        own += max(0, seconds - Double(Activity.waitedNanoseconds &- waited) / 1e9)
    }

    /// Compares the ranks and starts anew. All call it together.
    /// - Returns: rank 0's finding; nil on the others.
    mutating func exchange(on communicator: any Communicator) throws(CollectiveError) -> SlowestRank? {
        let seconds = own
        own = 0
        guard communicator.worldSize > 1 else { return nil }
        if hosts == nil { hosts = try communicator.gatherHostNames() }
        // Whole nanoseconds, with zeros for what others hold: their sum is exact.
        var all = [Int64](repeating: 0, count: communicator.worldSize)
        all[communicator.rank] = Int64(min(seconds * 1e9, 1e18))
        var span = all.mutableSpan
        try communicator.allReduce(&span, .sum)
        return SlowestRank(all.map { Double($0) / 1e9 }, hosts: hosts ?? [])
    }
}
