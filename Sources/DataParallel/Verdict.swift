import Collectives

/// Agree, then act: what one rank alone could decide (stop, skip, save, a non-finite loss) is reduced over ranks first.
public enum Verdict {
    /// The largest code of all ranks, on every rank.
    public static func worst(_ code: Int64, on communicator: any Communicator) throws(CollectiveError) -> Int64 {
        try communicator.allReduce(code, .maximum)
    }

    /// The largest code of all ranks and the lowest rank that reported it, on every rank.
    public static func worstWithRank(
        _ code: Int64, on communicator: any Communicator
    ) throws(CollectiveError) -> (code: Int64, rank: Int) {
        var codes = [Int64](repeating: .min, count: communicator.worldSize)
        codes[communicator.rank] = code
        var span = codes.mutableSpan
        try communicator.allReduce(&span, .maximum)
        let worst = codes.max() ?? code
        return (worst, codes.firstIndex(of: worst) ?? communicator.rank)
    }
}
