import Collectives
import DataParallel
import Kernels
import TestSupport
import Testing

/// `--reduction mpi`: whatever the order of the additions, whole numbers add up without rounding.
struct MPIReductionTests {
    @Test("M: a sum of whole numbers is exact in every mode", arguments: ReductionMode.allCases, 1...4)
    func wholeNumbersAreExact(mode: ReductionMode, worldSize: Int) throws {
        let count = 1003
        let expected = (0..<count).map { index in
            (0..<worldSize * 2).reduce(Float(0)) { $0 + Self.value(index, micro: $1) }
        }
        for overlap in ReductionOverlap.allCases {
            let results = try ThreadWorld.run(worldSize: worldSize) { communicator in
                let gradients = try Buffer<Float>(count: count)
                let reducer = try GradientReducer(
                    communicator: communicator, gradients: gradients, bucketElements: 100, mode: mode,
                    microBatchesPerRank: 2, overlap: overlap)
                reducer.beginStep()
                for index in 0..<2 {
                    reducer.beginMicroBatch(index)
                    gradients.set((0..<count).map { Self.value($0, micro: communicator.rank * 2 + index) })
                    try reducer.completed(0..<count)
                    try reducer.endMicroBatch()
                }
                return gradients.array()
            }
            for result in results { #expect(result == expected, "\(mode), \(overlap)") }
        }
    }

    private static func value(_ index: Int, micro: Int) -> Float { Float((index * 7919 + micro * 104_729) % 100_003) }
}
