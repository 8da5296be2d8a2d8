// Trains a few steps and counts what they take from the system: memory, threads, oneDNN primitives.
//
//     allocation-check fp32|bf16 THREADS ACCUMULATION NAME=VALUE…       prints of five steps'
//     `allocations A largest BYTES  objects O largest BYTES  threads T  primitives P`
//     allocation-check plan RANKS NAME=VALUE…               prints what the ranks' plans have and what was reserved
import Collectives
import Foundation
import Kernels
import Synchronization
import TestSupport
import Training

@main
struct AllocationCheck {
    static func main() throws {
        let arguments = CommandLine.arguments
        if arguments.count > 2, arguments[1] == "plan", let ranks = Int(arguments[2]) {
            return try comparePlan(ranks: ranks, Array(arguments.dropFirst(3)))
        }
        guard arguments.count >= 4, let accumulation = Int(arguments[3]) else {
            print("usage: allocation-check fp32|bf16 THREADS ACCUMULATION NAME=VALUE…")
            exit(64)
        }
        // The counters must see something before their silence means anything.
        isWatching = true
        let probe = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 64)
        isWatching = false
        probe.deallocate()
        guard allocations.count > 0, allocations.largest >= 100 else {
            print("the counting allocator is not in use")
            exit(70)
        }

        let folder = try makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = try configuration(
            in: folder,
            [
                ("global-batch", "\(4 * accumulation)"), ("precision", arguments[1]), ("threads", arguments[2]),
            ] + pairs(arguments.dropFirst(4)))
        try configuration.validate()
        let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: SilentReporter())
        // The first step may fill caches; those after it must find everything in place.
        for _ in 0..<2 { _ = try trainer.trainingStep() }
        let before = (threads: threadCount(), primitives: trainer.primitiveCount)
        (allocations, objects) = (Calls(), Calls())
        isWatching = true
        for _ in 0..<5 { _ = try trainer.trainingStep() }
        isWatching = false
        print(
            "allocations \(allocations.count) largest \(allocations.largest)  objects \(objects.count) "
                + "largest \(objects.largest)  threads \(threadCount() - before.threads)  "
                + "primitives \(trainer.primitiveCount - before.primitives)")
    }

    private static func makeFolder() throws -> String {
        let folder = NSTemporaryDirectory() + "swiftlet-allocations-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    /// A small run with these options besides.
    private static func configuration(
        in folder: String, _ options: [(name: String, value: String)]
    ) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        for (name, value) in [
            ("train-data", Golden.path(of: "gpt2-curve-tokens.bin")), ("run-dir", folder + "/run"), ("layers", "2"),
            ("heads", "2"), ("embedding-size", "64"), ("context-length", "32"), ("vocab-size", "256"),
            ("micro-batch", "4"),
        ] where !options.contains(where: { $0.name == name }) {
            try configuration.set(name, value)
        }
        for (name, value) in options { try configuration.set(name, value) }
        return configuration
    }

    /// Options given as NAME=VALUE.
    private static func pairs(_ options: ArraySlice<String>) -> [(name: String, value: String)] {
        options.map { $0.split(separator: "=").map(String.init) }.map { ($0[0], $0[1]) }
    }

    /// Sets a run up on ranks of this process, trains a step, and compares the plans with what all buffers hold.
    private static func comparePlan(ranks: Int, _ options: [String]) throws {
        let folder = try makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = try configuration(in: folder, pairs(options[...]))
        let planned = try ThreadWorld.run(worldSize: ranks) { communicator in
            let trainer = try Trainer(configuration, communicator: communicator, reporter: SilentReporter())
            try communicator.barrier()
            let before = reservedMemory.load(ordering: .relaxed)
            _ = try trainer.trainingStep()
            try communicator.barrier()
            guard reservedMemory.load(ordering: .relaxed) == before else { return [-1, 0] }
            try communicator.barrier()
            return [trainer.plannedBytes, before]
        }
        // A communication thread lets go of its own a moment later.
        for _ in 0..<500 where reservedMemory.load(ordering: .relaxed) != 0 { usleep(20_000) }
        let sum = planned.reduce(0) { $0 + $1[0] }
        print("planned \(sum)  reserved \(planned[0][1])  left \(reservedMemory.load(ordering: .relaxed))")
    }

    private static func threadCount() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
    }
}
