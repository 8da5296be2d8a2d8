import Basics
import Collectives
import Kernels

/// Sums one range of the gradient arena over ranks with blocking calls: exactly, or as MPI likes it without `exact`.
///
/// Used by one thread at a time: the caller's, or the communication thread of `OverlapLane`.
final class RankSum: @unchecked Sendable {
    var rank: Int { communicator.rank }
    private let communicator: any Communicator
    private let gradients: Buffer<Float>
    private let exact: ExactAllReduce?
    private let maximumCount: Int

    init(communicator: any Communicator, gradients: Buffer<Float>, exact: ExactAllReduce?, maximumCount: Int) {
        self.communicator = communicator
        self.gradients = gradients
        self.exact = exact
        self.maximumCount = maximumCount
    }

    /// Sums `range` in place and returns the seconds that it took.
    @discardableResult
    func sum(_ range: Range<Int>) throws(CollectiveError) -> Double {
        let start = ContinuousClock.now
        Activity.turn(toBucket: range.lowerBound / max(1, maximumCount))
        try gradients.withMutableSpan(range) { (values) throws(CollectiveError) in
            if let exact {
                try exact.sum(&values, on: communicator)
            } else {
                try communicator.allReduceSum(&values)
            }
        }
        return (ContinuousClock.now - start).seconds
    }
}

extension Duration {
    /// This time in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Buffer: ExchangeMemory where Element == Float {}
