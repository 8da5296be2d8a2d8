import Collectives
import Foundation
import TestSupport
import Testing

/// Runs `collectives-check` under the real mpirun. Without mpirun these tests fail; they never skip.
@Suite(.serialized)
struct MPICommunicatorTests {
    private func check(ranks: Int, _ arguments: [String], environment: [String: String] = [:]) throws
        -> Subprocess.Outcome
    {
        try Subprocess.mpirun(
            ranks: ranks, executable: try BuildProducts.executable("collectives-check"), arguments: arguments,
            environment: environment, timeout: 60)
    }

    @Test(arguments: [1, 2, 3, 4, 6])
    func `Every operation under mpirun, and the exact sums have the bits of threads and of the reference`(
        ranks: Int
    ) throws {
        let outcome = try check(ranks: ranks, ["--expect", "\(ranks)"])
        #expect(outcome.status == 0, "\(outcome)")
        // The library, without its build and package.
        let last = try #require(outcome.standardOutput.split(separator: "\n").last)
        #expect(last.wholeMatch(of: /all checks passed on \d ranks, Open MPI v[^, ]+/) != nil, "\(outcome)")
        #expect(last.contains(" on \(ranks) ranks"), "\(outcome)")
        for count in [17, 100_003] {
            let expected = CanonicalTree.hash(
                CanonicalTree.sum((0..<ranks).map { CanonicalTree.values(count: count, seed: UInt64($0)) }))
            let threads = try ThreadWorld.run(worldSize: ranks) {
                CanonicalTree.hash(try CollectiveChecks.exactSum(count: count, on: $0))
            }
            #expect(threads == Array(repeating: expected, count: ranks))
            #expect(outcome.standardOutput.contains("exact \(count) \(String(expected, radix: 16))"), "\(outcome)")
        }
    }

    @Test(arguments: [2, 3])
    func `Buffers above the chunk limit give the same bits`(ranks: Int) throws {
        let plain = try check(ranks: ranks, ["--expect", "\(ranks)"])
        let chunked = try check(ranks: ranks, ["--expect", "\(ranks)", "--chunk-limit", "799"])
        #expect(chunked.status == 0, "\(chunked)")
        #expect(chunked.standardOutput == plain.standardOutput)
    }

    @Test func `A world of another size than expected fails`() throws {
        let outcome = try check(ranks: 2, ["--expect", "3"])
        #expect(outcome.status == 70, "\(outcome)")
        #expect(outcome.standardError.contains("the world has 2 ranks, expected 3"), "\(outcome)")
    }

    @Test func `A rank that throws ends the job with its exit code and leaves nobody behind`() throws {
        let executable = try BuildProducts.executable("collectives-check")
        // The ranks are children of mpirun: note who they are while they run, which is short.
        var family: Set<Int32> = []
        for _ in 0..<5 where family.count < 3 {
            let launcher = try Subprocess.startMPI(ranks: 3, executable: executable, arguments: ["--fail", "1", "79"])
            family = []
            while launcher.isRunning {
                family.formUnion(Subprocess.descendants(of: launcher.processIdentifier))
                Thread.sleep(forTimeInterval: 0.01)
            }
            let outcome = launcher.wait()
            #expect(outcome.status == 79, "\(outcome)")
            #expect(!outcome.timedOut)
            #expect(outcome.standardError.contains("rank 1 fails on purpose"), "\(outcome)")
            #expect(Subprocess.waitForEnd(of: family))
        }
        #expect(family.count >= 3, "saw only \(family.count) processes")
    }

    @Test func `Ranks with different configurations end with 78 and are named`() throws {
        let outcome = try check(ranks: 3, ["--diverge"])
        #expect(outcome.status == 78, "\(outcome)")
        #expect(
            outcome.standardError.components(
                separatedBy: "ranks {0,1} --global-batch=16, rank {2} --global-batch=8"
            ).count == 2, "told once: \(outcome)")
    }

    @Test func `A launcher of another MPI is an error and not N silent copies`() throws {
        let outcome = try Subprocess.run(
            try BuildProducts.executable("collectives-check"), ["--expect", "1"],
            environment: ["OMPI_COMM_WORLD_SIZE": "4"], timeout: 60)
        #expect(outcome.status == 78, "\(outcome)")
        #expect(
            outcome.standardError.contains("mpirun started 4 ranks, but this MPI library sees 1"), "\(outcome)")
    }

    @Test func `Without a launcher the world is one rank`() throws {
        let outcome = try Subprocess.run(
            try BuildProducts.executable("collectives-check"), ["--expect", "1"], timeout: 60)
        #expect(outcome.status == 0, "\(outcome)")
    }

    @Test func `Without mpirun a multi-rank test fails and says why`() throws {
        let failure = #expect(throws: Subprocess.Failure.self) {
            try Subprocess.mpirun(ranks: 2, executable: "/bin/true", environment: ["PATH": "/nowhere"])
        }
        #expect(failure?.description.contains("mpirun is not in PATH") == true)
    }

    @Test func `A program that hangs is killed with its ranks`() throws {
        let launcher = try Subprocess.startMPI(ranks: 2, executable: "/bin/sleep", arguments: ["1000"])
        var family: [Int32] = []
        #expect(
            waitUntil {
                family = Subprocess.descendants(of: launcher.processIdentifier)
                return family.count >= 2
            })
        let outcome = launcher.wait(timeout: 0.5)
        // 1 is what mpirun says after SIGTERM: it was not killed itself.
        #expect(outcome.timedOut && outcome.status == 1, "\(outcome)")
        #expect(!family.contains(where: Subprocess.isAlive))
    }
}
