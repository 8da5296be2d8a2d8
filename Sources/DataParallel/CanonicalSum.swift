import Collectives

/// Values of the micro-batches of all ranks in one list, so that their sum has the same bits at every number of ranks.
public enum CanonicalSum {
    /// Gives every rank the values of all `total` micro-batches; the caller sums them in index order.
    ///
    /// - Parameters:
    ///   - local: this rank's values, for the micro-batches `firstIndex ..< firstIndex + local.count`.
    ///   - total: how many micro-batches all ranks have together; each must belong to one rank.
    /// - Returns: the values in order of the index, with their exact bits.
    public static func sumOfMicroBatches(
        _ local: [Double], firstIndex: Int, total: Int, on communicator: any Communicator
    ) throws(CollectiveError) -> [Double] {
        precondition(
            firstIndex >= 0 && firstIndex + local.count <= total,
            "micro-batches \(firstIndex) ..< \(firstIndex + local.count) of \(total)")
        // Bit patterns with zeros elsewhere: their integer sum is the pattern itself, for -0 and NaN as well.
        var patterns = [Int64](repeating: 0, count: total)
        for (offset, value) in local.enumerated() {
            patterns[firstIndex + offset] = Int64(bitPattern: value.bitPattern)
        }
        var span = patterns.mutableSpan
        try communicator.allReduce(&span, .sum)
        return patterns.map { Double(bitPattern: UInt64(bitPattern: $0)) }
    }
}
