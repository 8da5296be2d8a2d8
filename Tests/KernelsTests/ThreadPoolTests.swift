import Kernels
import Testing

@Suite struct ThreadPoolTests {
    /// Every element of the work is done once, in ranges that start on the grain, whatever the counts.
    @Test(arguments: [1, 2, 3, 5])
    func sharesCoverTheWork(threads: Int) {
        for count in [0, 1, 7, 16, 63, 64, 65, 1000] {
            for grain in [1, 8, 16, 64] {
                var end = 0
                for thread in 0..<threads {
                    let share = ThreadPool.share(of: count, grain: grain, part: thread, of: threads)
                    if share.isEmpty { continue }
                    #expect(share.lowerBound == end)
                    #expect(share.lowerBound % grain == 0)
                    end = share.upperBound
                }
                #expect(end == count)
            }
        }
    }

    /// Thousands of runs: long enough apart that workers sleep, and right after each other.
    @Test(arguments: [2, 3])
    func everyThreadRunsOnce(threads: Int) throws {
        let compute = try Compute(threadCount: threads)
        let calls = try Buffer<Int32>(count: threads * 16)
        for round in 1...3000 {
            compute.pool.run { thread in calls.withMutableSpan(thread * 16..<thread * 16 + 1) { $0[0] += 1 } }
            #expect((0..<threads).allSatisfy { calls.array()[$0 * 16] == Int32(round) })
        }
    }
}
