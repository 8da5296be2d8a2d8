import Kernels

/// What updates the weights from their gradients. All ranks make the same updates.
package protocol Optimizer: AnyObject {
    /// Updates made so far; set when a checkpoint is loaded.
    var step: Int { get set }
    /// What it remembers from one update to the next, in the order of a checkpoint's tensors.
    var moments: [Moments] { get }
    /// Records what an update consists of, if set.
    var timeline: Timeline? { get set }

    /// Makes one update. Each gradient is multiplied by `gradientScale` first, and the gradients are void afterwards;
    /// `copy` is refreshed if there is one.
    /// - Throws: `KernelError` where a product failed, and what the exchange between ranks throws. The weights are void
    ///   then.
    func update(
        _ weights: Buffer<Float>, gradients: Buffer<Float>, copy: Buffer<BFloat16>?, rates: LearningRates,
        gradientScale: Double, pool: ThreadPool
    ) throws
}

/// The rates of one update.
package struct LearningRates: Equatable, Sendable {
    /// AdamW's.
    package let adamW: Double
    /// Muon's, in a run that has it.
    package let muon: Double?

    package init(adamW: Double, muon: Double? = nil) { (self.adamW, self.muon) = (adamW, muon) }
}

/// One value for each element of some ranges of the weights, side by side in an arena of their own.
package struct Moments {
    /// What they are, for messages.
    package let name: String
    /// What stands before a tensor's name in checkpoints.
    package let prefix: String
    /// The values.
    package let arena: Buffer<Float>
    /// The ranges of the weights, in the arena's order.
    private let ranges: [Range<Int>]

    /// Zeros for these ranges of the weights.
    /// - Throws: `KernelError` when memory cannot be reserved.
    init(_ name: String, prefix: String, of ranges: [Range<Int>], memory: Memory) throws(KernelError) {
        (self.name, self.prefix, self.ranges) = (name, prefix, ranges)
        arena = try memory.buffer(.moments, ranges.reduce(0) { $0 + $1.count })
    }

    /// Where the arena has the values of a tensor that lies there in the weights; nil where it has none.
    package func place(of tensor: Range<Int>) -> Range<Int>? {
        var start = 0
        for range in ranges {
            if range.lowerBound <= tensor.lowerBound, tensor.upperBound <= range.upperBound {
                let first = start + tensor.lowerBound - range.lowerBound
                return first..<first + tensor.count
            }
            start += range.count
        }
        return nil
    }
}
