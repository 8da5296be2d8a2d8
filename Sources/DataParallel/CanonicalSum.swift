import Collectives

/// One number of each micro-batch of all ranks, and their sum with the same bits at every number of ranks.
///
/// Made once for a number of micro-batches; using it allocates nothing.
///
///     losses.removeAll()
///     for index in plan.microBatches(rank: communicator.rank) { losses[index] = … }
///     try losses.share(on: communicator)
///     // `losses.sum` is the same on every rank.
public final class CanonicalSum {
    // Bit patterns with zeros for what other ranks hold: their integer sum over ranks is the pattern itself, for −0 and
    // NaN as well.
    private var patterns: [Int64]

    /// Room for one number a micro-batch.
    public init(count: Int) {
        patterns = Array(repeating: 0, count: count)
    }

    /// How many micro-batches all ranks have together.
    public var count: Int { patterns.count }

    /// Forgets all numbers.
    public func removeAll() {
        for index in patterns.indices { patterns[index] = 0 }
    }

    /// The number of a micro-batch. Each is set by one rank, since `removeAll`; after `share` all ranks have all.
    public subscript(index: Int) -> Double {
        get { Double(bitPattern: UInt64(bitPattern: patterns[index])) }
        set { patterns[index] = Int64(bitPattern: newValue.bitPattern) }
    }

    /// Gives every rank the numbers of all, with their exact bits.
    public func share(on communicator: any Communicator) throws(CollectiveError) {
        guard communicator.worldSize > 1 else { return }
        // Out of the object for the time of the call, so that the span is a local variable's.
        var local: [Int64] = []
        swap(&local, &patterns)
        defer { swap(&local, &patterns) }
        var span = local.mutableSpan
        try communicator.allReduce(&span, .sum)
    }

    /// The sum in order of the index.
    public var sum: Double {
        var sum = 0.0
        for index in patterns.indices { sum += self[index] }
        return sum
    }

    /// The first micro-batch whose number is not finite.
    public var firstNonFinite: Int? { patterns.indices.first { !self[$0].isFinite } }
}
