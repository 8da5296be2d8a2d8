import Basics
import Collectives
import Kernels

/// Sums the gradients of all micro-batches of all ranks, once an optimizer step.
///
/// The backward pass writes each micro-batch's gradient into the same arena and calls `completed` as it works from the
/// arena's end to its start. Inside a rank the micro-batches combine by a binary counter: partial sums of 1, 2, 4, …
/// micro-batches wait in buffers of their own and are added when a partner of the same size arrives, so the order is
/// the canonical tree over the micro-batch index (for 3: (0+1)+2). Across ranks each bucket goes on along the same tree
/// (`ExactAllReduce`) when the last micro-batch has completed it.
///
///     reducer.beginStep()
///     for index in 0..<A {
///         reducer.beginMicroBatch(index)
///         model.backward { range in try reducer.completed(range) }
///         try reducer.endMicroBatch()
///     }
///     // `gradients` is the sum over all micro-batches of all ranks, the same bits on every rank.
package final class GradientReducer {
    /// How many micro-batches of each rank make a step (A).
    package let microBatchesPerRank: Int
    /// The cut of the arena.
    package let buckets: GradientBuckets

    /// Records what is done for each bucket, if set.
    package var timeline: Timeline? {
        didSet {
            exact?.onRound = timeline.map { _ in { [unowned self] bucket in record(bucket) } }
        }
    }
    /// When the bucket that is under way was turned to.
    private var turned: UInt64 = 0

    private let gradients: Buffer<Float>
    /// Partial sums of 2^level micro-batches.
    private let partials: [Buffer<Float>]
    private let communicator: any Communicator
    /// Nil where MPI adds as it likes.
    private let exact: ExactAllReduce?
    private let overlap: ReductionOverlap

    /// The micro-batch under way; nil outside of one.
    private var microBatch: Int?
    /// The one that may begin next.
    private var nextMicroBatch = 0
    /// Everything from here to the end of the arena is complete in this micro-batch.
    private var frontier = 0
    /// The first bucket that is not complete in this micro-batch.
    private var nextBucket = 0

    /// Reserves everything that steps need: partial sums for accumulation and the scratch of the exact reduction.
    ///
    /// - Parameters:
    ///   - gradients: the arena, written by the backward pass and summed here.
    ///   - bucketElements: how many elements are reduced at a time; by default `GradientBuckets` says.
    ///   - microBatchesPerRank: A, at least 1.
    ///   - overlap: how the reduction goes on beside the backward pass. The caller must not use the communicator between
    ///     the begin and the end of the last micro-batch. MPI's own sums block.
    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(
        communicator: any Communicator, gradients: Buffer<Float>, bucketElements: Int? = nil, mode: ReductionMode,
        microBatchesPerRank: Int, overlap: ReductionOverlap = .messages, memory: Memory = Memory()
    ) throws {
        precondition(microBatchesPerRank >= 1, "\(microBatchesPerRank) micro-batches a rank")
        self.communicator = communicator
        self.gradients = gradients
        self.overlap = overlap
        self.microBatchesPerRank = microBatchesPerRank
        let bucketElements = bucketElements ?? GradientBuckets.defaultBucketElements(of: gradients.count)
        buckets = GradientBuckets(elementCount: gradients.count, bucketElements: bucketElements)
        let levels = Int.bitWidth - (microBatchesPerRank - 1).leadingZeroBitCount
        partials = try (0..<levels).map { _ in try memory.buffer(.partialSums, gradients.count) }

        let ranks = communicator.worldSize
        guard mode == .exact, ranks > 1 else {
            exact = nil
            return
        }
        let most = min(bucketElements, gradients.count)
        let flights = overlap == .messages ? ExactAllReduce.capacity(worldSize: ranks, count: most) : 1
        let room = ExactAllReduce.scratchCount(maximumCount: most, worldSize: ranks)
        let scratch: [Buffer<Float>] = try (0..<flights).map { _ in try memory.buffer(.reduction, room) }
        exact = ExactAllReduce(gradients, maximumCount: most, scratch: scratch, on: communicator)
    }

    /// Starts an optimizer step. After an error, also drops what was under way.
    package func beginStep() {
        exact?.reset()
        microBatch = nil
        nextMicroBatch = 0
    }

    /// Starts micro-batch `index` of this rank.
    /// - Precondition: indices come in order, 0 ..< A, each between `beginStep` and its own `endMicroBatch`.
    package func beginMicroBatch(_ index: Int) {
        precondition(microBatch == nil, "micro-batch \(index) begins inside another one")
        precondition(
            index == nextMicroBatch && index < microBatchesPerRank,
            "micro-batch \(index) begins where \(nextMicroBatch) of \(microBatchesPerRank) should")
        microBatch = index
        frontier = gradients.count
        nextBucket = 0
    }

    /// The backward pass has written these elements for the last time in this micro-batch.
    /// - Precondition: `range` ends where the one before began; the first one ends at the end of the arena.
    /// - Throws: `CollectiveError` of the reduction (with overlap: perhaps of an earlier bucket, or only at the end).
    package func completed(_ range: Range<Int>) throws(CollectiveError) {
        guard let microBatch else { preconditionFailure("a range completed outside of a micro-batch") }
        precondition(
            range.upperBound == frontier && range.lowerBound >= 0,
            "range \(range) completed where one that ends at \(frontier) should")
        frontier = range.lowerBound
        // What was started at earlier calls goes a round on before new buckets join.
        if let exact, microBatch == microBatchesPerRank - 1 {
            beginRecord()
            try exact.advance()
        }
        while nextBucket < buckets.ranges.count, buckets.ranges[nextBucket].lowerBound >= frontier {
            let bucket = buckets.ranges[nextBucket]
            nextBucket += 1
            combine(bucket, microBatch: microBatch)
            if microBatch == microBatchesPerRank - 1 { try reduce(bucket) }
        }
    }

    /// Ends a micro-batch; after the last one `gradients` holds the sum over all micro-batches of all ranks.
    /// - Precondition: all ranges are complete.
    package func endMicroBatch() throws(CollectiveError) {
        guard let index = microBatch else { preconditionFailure("a micro-batch ends that has not begun") }
        precondition(frontier == 0, "a micro-batch ends with elements 0 ..< \(frontier) not complete")
        microBatch = nil
        nextMicroBatch = index + 1
        guard nextMicroBatch == microBatchesPerRank else { return }
        beginRecord()
        try exact?.finish()
        Activity.turn(toBucket: -1)
    }

    /// One step of the binary counter for one bucket: adds the waiting partial sums of this and smaller size, from the
    /// smallest up, then lets the sum wait. After the last micro-batch everything that waits is added.
    private func combine(_ bucket: Range<Int>, microBatch index: Int) {
        if index == microBatchesPerRank - 1 {
            for level in partials.indices where index & (1 << level) != 0 {
                Vector.add(partials[level][bucket], into: gradients[bucket])
            }
            return
        }
        // The bits of `index` say which levels are taken; adding one carries through the trailing ones.
        let level = (~index).trailingZeroBitCount
        for lower in 0..<level { Vector.add(partials[lower][bucket], into: gradients[bucket]) }
        Vector.copy(gradients[bucket], into: partials[level][bucket])
    }

    private func reduce(_ bucket: Range<Int>) throws(CollectiveError) {
        guard communicator.worldSize > 1 else { return }
        beginRecord()
        if let exact {
            try exact.start(bucket)
            if overlap == .none { try exact.finish() }
        } else {
            Activity.turn(toBucket: bucket.lowerBound / buckets.bucketElements)
            try gradients.withMutableSpan(bucket) { (values) throws(CollectiveError) in
                try communicator.allReduce(&values, .sum)
            }
            record(bucket)
        }
    }

    private func beginRecord() {
        if timeline != nil { turned = Timeline.now() }
    }

    private func record(_ bucket: Range<Int>) {
        guard let timeline else { return }
        timeline.record(.bucket, index: bucket.lowerBound / buckets.bucketElements, since: turned)
        turned = Timeline.now()
    }
}

extension Buffer: ExchangeMemory where Element == Float {}

/// How the gradients of the ranks are summed (`--reduction`).
package enum ReductionMode: String, CaseIterable, Codable, Sendable {
    /// Along the canonical binary tree over ranks: the same bits at every number of ranks that divides the batch.
    case exact
    /// By MPI_Allreduce, in the order that the library chooses.
    case mpi
}

/// How the exact reduction goes on beside the backward pass (`--overlap`). All have the same bits.
package enum ReductionOverlap: String, CaseIterable, Codable, Sendable {
    /// Each bucket is summed over ranks, start to end, when it is complete and still in the cache.
    case none
    /// Each bucket's messages are sent when it is complete, and each of their rounds is finished when later buckets are.
    case messages
}
