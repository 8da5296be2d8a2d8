// Trains a few steps and counts what they take from the system: memory, threads, oneDNN primitives.
//
//     allocation-check fp32|bf16 THREADS ACCUMULATION       prints of five steps'
//     `allocations A largest BYTES  objects O largest BYTES  threads T  primitives P`
import Collectives
import Foundation
import Kernels
import TestSupport
import Training

@main
struct AllocationCheck {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let accumulation = Int(arguments[3]) else {
            print("usage: allocation-check fp32|bf16 THREADS ACCUMULATION")
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

        let folder = NSTemporaryDirectory() + "swiftlet-allocations-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var configuration = TrainingConfiguration()
        for (name, value) in [
            ("train-data", Golden.path(of: "gpt2-curve-tokens.bin")), ("run-dir", folder + "/run"), ("layers", "2"),
            ("heads", "2"), ("embedding-size", "64"), ("context-length", "32"), ("vocab-size", "256"),
            ("micro-batch", "4"), ("global-batch", "\(4 * accumulation)"), ("precision", arguments[1]),
            ("threads", arguments[2]),
        ] {
            try configuration.set(name, value)
        }
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

    private static func threadCount() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
    }
}
