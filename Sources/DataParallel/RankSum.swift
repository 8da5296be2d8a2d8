import Basics
import Collectives
import Kernels

/// Sums one range of the gradient arena over ranks with blocking calls: exactly, or as MPI likes it without `exact`.
final class RankSum {
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

    /// Sums `range` in place.
    func sum(_ range: Range<Int>) throws(CollectiveError) {
        Activity.turn(toBucket: range.lowerBound / max(1, maximumCount))
        try gradients.withMutableSpan(range) { (values) throws(CollectiveError) in
            if let exact {
                try exact.sum(&values, on: communicator)
            } else {
                try communicator.allReduceSum(&values)
            }
        }
    }
}

extension Buffer: ExchangeMemory where Element == Float {}
