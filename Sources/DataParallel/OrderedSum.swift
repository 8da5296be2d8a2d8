import Collectives
import Kernels

/// One number of each micro-batch of all ranks, and their sum in the order of the micro-batches: the same bits at every
/// number of ranks.
///
/// Made once for a number of micro-batches; using it allocates nothing.
///
///     losses.removeAll()
///     for index in plan.microBatches(rank: communicator.rank) { losses[index] = … }
///     try losses.share(on: communicator)
///     // `losses.sum` is the same on every rank.
package final class OrderedSum {
    // Bit patterns with zeros for what other ranks hold: their integer sum over ranks is the pattern itself, for −0 and
    // NaN as well.
    private let patterns: Buffer<Int64>

    /// Room for one number a micro-batch.
    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(count: Int, memory: Memory = Memory()) throws(KernelError) {
        patterns = try memory.buffer(.losses, count)
    }

    /// How many micro-batches all ranks have together.
    package var count: Int { patterns.count }

    /// Forgets all numbers.
    package func removeAll() { patterns.zero() }

    /// The number of a micro-batch. Each is set by one rank, since `removeAll`; after `share` all ranks have all.
    package subscript(index: Int) -> Double {
        get { patterns.withSpan(index..<index + 1) { Double(bitPattern: UInt64(bitPattern: $0[0])) } }
        set { patterns.withMutableSpan(index..<index + 1) { $0[0] = Int64(bitPattern: newValue.bitPattern) } }
    }

    /// Gives every rank the numbers of all, with their exact bits.
    package func share(on communicator: any Communicator) throws(CollectiveError) {
        guard communicator.worldSize > 1 else { return }
        try patterns.withMutableSpan(0..<count) { (values) throws(CollectiveError) in
            try communicator.allReduce(&values, .sum)
        }
    }

    /// The sum in order of the index.
    package var sum: Double {
        var sum = 0.0
        for index in 0..<count { sum += self[index] }
        return sum
    }

    /// The first micro-batch whose number is not finite.
    package var firstNonFinite: Int? { (0..<count).first { !self[$0].isFinite } }
}
