import Basics
import Collectives
import Foundation
import Kernels
import Testing
import Training

/// What a run would reserve against what there is, on machines made of files.
@Suite struct MemoryPlanTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A machine with this much memory beside what a program itself needs for each of its ranks.
    private func machine(bytes: Int, ranks: Int = 1) throws -> Machine {
        let folder = directory.file("proc")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let text = "MemAvailable: \((bytes + ranks * MemoryPlan.margin) / 1024) kB\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/meminfo"))
        return Machine(root: directory.path)
    }

    /// Plans 100 MB of weights and 10 MB a sequence on a machine with `megabytes` for buffers.
    private func plan(_ microBatch: Int, megabytes: Int, ranks: Int = 1, sizes: [Int]? = nil) throws -> MemoryPlan {
        try MemoryPlan(
            ranks: ranks, machine: machine(bytes: megabytes << 20, ranks: ranks),
            largest: sizes.map { sizes in { fits in try sizes.first(where: fits) } }
        ) { size, memory in
            let _: Buffer<UInt8> = try memory.buffer(.weights, 100 << 20)
            let _: Buffer<Float> = try memory.buffer(.activations, size ?? microBatch, 10 << 20, 1)
            try memory.requireRoom()
        }
    }

    @Test("T1: a run that fits is told by its uses, one that does not is refused with what would fit")
    func refusal() throws {
        let fitting = try plan(5, megabytes: 300)
        #expect(fitting.bytes == [.weights: 100 << 20, .activations: 200 << 20])
        #expect(fitting.text.contains("memory: 315 MB a rank: weights 105 MB, activations 210 MB; MemAvailable"))
        let error = try #require(throws: ExitError.self) {
            try plan(8, megabytes: 299, sizes: [7, 5, 4, 2, 1])
        }
        #expect(error.exitCode == .usage)
        #expect(error.description.contains("activations 336 MB"))
        #expect(error.description.contains("the largest --micro-batch that fits and divides the batch is 4"))
        let none = try #require(throws: ExitError.self) { try plan(8, megabytes: 130, sizes: [4, 2, 1]) }
        #expect(none.description.contains("no --micro-batch fits"))
        let smaller = try #require(throws: ExitError.self) { try plan(8, megabytes: 130) }
        #expect(!smaller.description.contains("micro-batch") && smaller.description.contains("use a smaller model"))
    }

    @Test("T1: the ranks of a host share its memory")
    func sharedByRanks() throws {
        _ = try plan(5, megabytes: 900, ranks: 3)
        let error = try #require(throws: ExitError.self) { try plan(5, megabytes: 897, ranks: 3) }
        #expect(error.description.contains("each of the 3 ranks here needs"))
        #expect(error.description.contains("fewer ranks here"))
    }

    @Test("T1: the largest size that fits is found, whatever the limit")
    func largestSizeThatFits() {
        for limit in 1...20 {
            for room in 0...20 {
                let found = largestSize(below: limit) { $0 <= room }
                let expected = min(room, limit - 1)
                #expect(found == (expected > 0 ? expected : nil), "below \(limit), room for \(room)")
            }
        }
    }

    @Test("T1: sizes whose product no number holds do not fit anywhere", arguments: [1 << 31, 1 << 62, Int.max])
    func overflow(size: Int) throws {
        let error = try #require(throws: ExitError.self) { try plan(size, megabytes: 300, sizes: [size - 1, 3]) }
        #expect(error.exitCode == .usage && error.description.contains("divides the batch is 3"))
    }

    /// Without a word from the system nothing is refused.
    @Test func unknownRoom() throws {
        let plan = try MemoryPlan(ranks: 1, machine: Machine(root: directory.file("nothing"))) { _, memory in
            let _: Buffer<UInt8> = try memory.buffer(.weights, 1 << 50)
            try memory.requireRoom()
        }
        #expect(plan.room == nil && plan.text == "memory: 1.13 PB a rank: weights 1.13 PB")
    }

    @Test func errorsOfThePartsPass() throws {
        #expect(throws: CancellationError.self) {
            try MemoryPlan(ranks: 1) { _, _ in throw CancellationError() }
        }
    }

    @Test(arguments: [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (4096, "4.10 kB"), (99_960, "100 kB"),
        (99_940, "99.9 kB"),
        (9_994_000, "9.99 MB"), (9_996_000, "10.0 MB"), (999_600_000, "1.00 GB"), (Int.max, "9.22 EB"),
    ])
    func sizesForPeople(bytes: Int, text: String) { #expect(memoryText(bytes) == text) }

    /// Each layer keeps its input alone.
    @Test func recomputationPlansLess() throws {
        var plans: [Int] = []
        for recomputes in [false, true] {
            var configuration = try Curve.configuration(runDirectory: directory.file("run\(recomputes)"))
            (configuration.precision, configuration.recompute) = (.fp32, recomputes)
            plans.append(
                try Trainer(configuration, communicator: SingleProcess(), reporter: SilentReporter()).plannedBytes)
        }
        #expect(plans[1] < plans[0])
    }
}
