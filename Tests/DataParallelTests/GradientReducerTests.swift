import Basics
import Collectives
import DataParallel
import Kernels
import TestSupport
import Testing

struct GradientReducerTests {
    /// What one rank ends with.
    struct Outcome: Sendable {
        var gradients: [Float]
        var elementsSent: Int
        var reductions: Int
    }

    private static let count = 1003

    private static func micro(_ index: Int, step: Int = 0) -> [Float] {
        CanonicalTree.values(count: count, seed: UInt64(index + 1000 * step))
    }

    /// Runs steps on threads: the backward pass is played by `CanonicalTree.values`, seeded with the global micro-batch.
    private func run(
        worldSize: Int, microBatches: Int, mode: ReductionMode = .exact, overlap: ReductionOverlap = .messages,
        bucketElements: Int = 100,
        pieces: Int = 37, steps: Int = 1
    ) throws -> [Outcome] {
        try ThreadWorld.run(worldSize: worldSize) { communicator in
            let count = Self.count
            let communicator = CountingCommunicator(communicator)
            let gradients = try Buffer<Float>(count: count)
            let reducer = try GradientReducer(
                communicator: communicator, gradients: gradients, bucketElements: bucketElements, mode: mode,
                microBatchesPerRank: microBatches, overlap: overlap)
            for step in 0..<steps {
                reducer.beginStep()
                for index in 0..<microBatches {
                    reducer.beginMicroBatch(index)
                    let values = Self.micro(communicator.rank * microBatches + index, step: step)
                    var end = count
                    while end > 0 {
                        let start = max(0, end - pieces)
                        gradients.set(Array(values[start..<end]), at: start)
                        try reducer.completed(start..<end)
                        end = start
                    }
                    try reducer.endMicroBatch()
                }
            }
            return Outcome(
                gradients: gradients.array(), elementsSent: communicator.elementsSent,
                reductions: communicator.reductions)
        }
    }

    private func expectSame(_ a: [Float], _ b: [Float], _ what: String) {
        #expect(a.map(\.bitPattern) == b.map(\.bitPattern), "\(what)")
    }

    @Test(arguments: 1...8, 1...4)
    func `Micro-batches combine along the tree inside a rank, then over ranks`(microBatches: Int, worldSize: Int) throws
    {
        let expected = CanonicalTree.sum(
            (0..<worldSize).map { rank in
                CanonicalTree.sum((0..<microBatches).map { Self.micro(rank * microBatches + $0) })
            })
        for outcome in try run(worldSize: worldSize, microBatches: microBatches) {
            expectSame(outcome.gradients, expected, "\(microBatches) micro-batches on \(worldSize) ranks")
        }
    }

    @Test(arguments: ReductionOverlap.allCases)
    func `The same bits at every number of ranks when A is a power of two`(overlap: ReductionOverlap) throws {
        for total in [8, 6, 3] {
            let expected = CanonicalTree.sum((0..<total).map { Self.micro($0) })
            for worldSize in 1...total where total % worldSize == 0 {
                let microBatches = total / worldSize
                guard microBatches & (microBatches - 1) == 0 || worldSize == 1 else { continue }
                for outcome in try run(worldSize: worldSize, microBatches: microBatches, overlap: overlap) {
                    expectSame(outcome.gradients, expected, "\(total) micro-batches on \(worldSize) ranks")
                }
            }
        }
    }

    @Test(arguments: [1, 2, 3], [1, 3])
    func `One reduction a step, whatever the accumulation`(microBatches: Int, steps: Int) throws {
        for overlap in ReductionOverlap.allCases {
            let outcomes = try run(worldSize: 2, microBatches: microBatches, overlap: overlap, steps: steps)
            // One rank's half and the other's, there and back.
            #expect(outcomes.map(\.elementsSent).reduce(0, +) == 2 * Self.count * steps)
            #expect(outcomes.allSatisfy { $0.reductions == 0 })
        }
    }

    @Test func `A world of one rank sends nothing`() throws {
        let outcome = try run(worldSize: 1, microBatches: 3)[0]
        #expect(outcome.elementsSent == 0 && outcome.reductions == 0)
    }

    @Test func `A later step does not see an earlier one`() throws {
        let outcomes = try run(worldSize: 2, microBatches: 3, steps: 3)
        let expected = CanonicalTree.sum(
            (0..<2).map { rank in CanonicalTree.sum((0..<3).map { Self.micro(rank * 3 + $0, step: 2) }) })
        for outcome in outcomes { expectSame(outcome.gradients, expected, "third step") }
    }

    @Test(arguments: [1, 7, 100, 1003, 5000], [1, 100, 1003])
    func `Buckets and pieces of any size give the same bits`(bucketElements: Int, pieces: Int) throws {
        let expected = CanonicalTree.sum((0..<4).map { Self.micro($0) })
        for outcome in try run(worldSize: 2, microBatches: 2, bucketElements: bucketElements, pieces: pieces) {
            expectSame(outcome.gradients, expected, "buckets of \(bucketElements), pieces of \(pieces)")
        }
    }

    @Test func `Reduction by MPI's own order is one reduction a step with the same value on all ranks`() throws {
        let outcomes = try run(worldSize: 3, microBatches: 2, mode: .mpi)
        let exact = try run(worldSize: 3, microBatches: 2)
        for outcome in outcomes {
            expectSame(outcome.gradients, outcomes[0].gradients, "ranks in mode mpi")
            #expect(outcome.reductions == 11)  // 1003 elements in buckets of 100
            for (a, b) in zip(outcome.gradients, exact[0].gradients) { #expect(abs(a - b) <= 1e-2) }
        }
    }

    @Test(arguments: ReductionOverlap.allCases)
    func `A failing rank makes the others' reduction throw`(overlap: ReductionOverlap) {
        struct Broken: Error {}
        let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
            let gradients = try Buffer<Float>(count: 1000)
            let reducer = try GradientReducer(
                communicator: communicator, gradients: gradients, bucketElements: 100, mode: .exact,
                microBatchesPerRank: 1, overlap: overlap)
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            try reducer.completed(500..<1000)
            if communicator.rank == 1 { throw Broken() }
            try reducer.completed(0..<500)
            try reducer.endMicroBatch()
        }
        for outcome in outcomes { #expect(throws: (any Error).self) { try outcome.get() } }
    }

    /// For the watchdog, in a process of its own, since all tests share this one's activity.
    @Test func `A rank that waits for a bucket says which, and none at the end`() async {
        await #expect(processExitsWith: .success) {
            for (mode, ranks) in [(ReductionMode.mpi, 2), (.exact, 2), (.exact, 3), (.exact, 6)] {
                let rank = LoneRank(others: Array(repeating: "", count: ranks - 1))
                let reducer = try GradientReducer(
                    communicator: rank, gradients: try Buffer<Float>(count: 250), bucketElements: 100, mode: mode,
                    microBatchesPerRank: 1, overlap: .none)
                reducer.beginStep()
                reducer.beginMicroBatch(0)
                try reducer.completed(0..<250)
                try reducer.endMicroBatch()
                let buckets = rank.calls.map(\.state.bucket)
                #expect(
                    buckets.reduce(into: [Int]()) { if $0.last != $1 { $0.append($1) } } == [2, 1, 0],
                    "\(mode), \(ranks) ranks: \(buckets)")
                #expect(Activity.state.bucket == -1, "\(mode), \(ranks) ranks")
            }
        }
    }

    @Test func `Ranges out of order are a bug`() async {
        await #expect(processExitsWith: .failure) {
            let reducer = try GradientReducer(
                communicator: SingleProcess(), gradients: try Buffer<Float>(count: 10), mode: .exact,
                microBatchesPerRank: 1
            )
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            try reducer.completed(0..<5)
        }
    }

    @Test func `A micro-batch that ends early is a bug`() async {
        await #expect(processExitsWith: .failure) {
            let reducer = try GradientReducer(
                communicator: SingleProcess(), gradients: try Buffer<Float>(count: 10), mode: .exact,
                microBatchesPerRank: 1
            )
            reducer.beginStep()
            reducer.beginMicroBatch(0)
            try reducer.completed(5..<10)
            try reducer.endMicroBatch()
        }
    }
}

struct GradientBucketsTests {
    @Test(arguments: [0, 1, 99, 100, 101, 1003], [1, 100, 5000])
    func `Buckets cover the arena once from its end to its start`(elements: Int, size: Int) {
        let ranges = GradientBuckets(elementCount: elements, bucketElements: size).ranges
        var end = elements
        for range in ranges {
            #expect(range.upperBound == end && !range.isEmpty && range.count <= size)
            #expect(range.lowerBound % size == 0)
            end = range.lowerBound
        }
        #expect(end == 0)
        #expect(ranges.count == (elements + size - 1) / size)
    }

    @Test func `The default size is an eighth of the arena, 1 to 8 MiB, whole pages`() {
        let mebibyte = (1 << 20) / MemoryLayout<Float>.stride
        #expect(GradientBuckets.defaultBucketElements(of: 0) == mebibyte)
        #expect(GradientBuckets.defaultBucketElements(of: 8 * mebibyte) == mebibyte)
        #expect(GradientBuckets.defaultBucketElements(of: 13_891_584) == 1695 * 1024)
        #expect(GradientBuckets.defaultBucketElements(of: 124_439_808) == 8 * mebibyte)
    }
}
