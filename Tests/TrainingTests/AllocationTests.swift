import Kernels
import TestSupport
import Testing

/// A step finds everything in place: it takes no memory, starts no thread and makes no oneDNN primitive.
///
/// `allocation-check` counts in a process of its own, because it replaces malloc.
@Suite struct AllocationTests {
    /// Counts of five steps by name.
    private func counts(
        _ precision: String, threads: Int, accumulation: Int, options: [String] = []
    ) throws -> [String: Int] {
        let outcome = try Subprocess.run(
            BuildProducts.executable("allocation-check"), [precision, "\(threads)", "\(accumulation)"] + options,
            timeout: 120)
        try #require(outcome.status == 0, "\(outcome.standardOutput)\(outcome.standardError)")
        let words = outcome.standardOutput.split { " \n".contains($0) }.map(String.init)
        var counts: [String: Int] = [:]
        var group = ""
        for (name, value) in zip(words, words.dropFirst()) {
            guard let number = Int(value) else { continue }
            if name == "largest" {
                counts["\(group) bytes"] = number
            } else {
                group = name
                counts[name] = number
            }
        }
        return counts
    }

    @Test(
        .enabled(if: Compute.hasFastBFloat16, "without AVX-512, oneDNN's matmul allocates"),
        arguments: ["fp32", "bf16"],
        [
            (1, []), (3, []), (1, ["steps=7", "warmup-steps=0", "sequence-warmup=8:0.5,16:0.75"]),
            (1, ["optimizer=muon"]), (1, ["optimizer=muon", "muon-precision=fp32", "architecture=modern"]),
            (1, ["recompute=true"]),
        ])
    func aStepTakesNothing(precision: String, run: (accumulation: Int, options: [String])) throws {
        let counts = try counts(precision, threads: 1, accumulation: run.accumulation, options: run.options)
        #expect(counts["allocations"] == 0)
        #expect(counts["threads"] == 0)
        #expect(counts["primitives"] == 0)
        // oneDNN's own objects for a call: their number is its business, their size shows that no operand is among them.
        #expect(try #require(counts["objects bytes"]) < 512)
    }

    /// The plan of each rank is what it reserves, to the byte, and all of it is given back.
    @Test(
        "T1: the plan is what is reserved",
        arguments: [
            (1, []), (1, ["precision=bf16", "global-batch=28"]), (2, ["precision=bf16", "threads=2"]),
            (3, ["global-batch=12"]), (4, ["reduction=mpi", "global-batch=32"]),
            (2, ["overlap=none", "precision=bf16"]), (6, ["overlap=none", "global-batch=24"]),
            (1, ["micro-batch=64", "global-batch=64", "threads=4"]), (2, ["sequence-warmup=8:0.25,16:0.5"]),
            (2, ["optimizer=muon", "threads=2"]), (2, ["recompute=true", "precision=bf16", "threads=2"]),
            (1, ["recompute=true", "precision=bf16", "micro-batch=1", "global-batch=4"]),
            (1, ["optimizer=muon", "architecture=modern", "muon-precision=fp32", "embedding-size=80"]),
            (
                1,
                [
                    "layers=1", "heads=3", "embedding-size=51", "context-length=17", "vocab-size=257", "micro-batch=1",
                    "global-batch=1",
                ]
            ),
        ])
    func thePlanIsWhatIsReserved(ranks: Int, options: [String]) throws {
        guard Compute.hasFastBFloat16 || !options.contains("precision=bf16") else { return }
        let precision = options.contains { $0.hasPrefix("precision") } ? [] : ["precision=fp32"]
        let threads = options.contains { $0.hasPrefix("threads") } ? [] : ["threads=1"]
        let batch = options.contains { $0.hasPrefix("global-batch") } ? [] : ["global-batch=\(4 * ranks)"]
        let outcome = try Subprocess.run(
            BuildProducts.executable("allocation-check"),
            ["plan", "\(ranks)"] + precision + threads + batch + options, timeout: 240)
        try #require(outcome.status == 0, "\(outcome.standardOutput)\(outcome.standardError)")
        let numbers = outcome.standardOutput.split(separator: " ").compactMap { Int($0.filter(\.isNumber)) }
        try #require(numbers.count == 3, "\(outcome.standardOutput)")
        #expect(numbers[0] > 1 << 18 && numbers[0] == numbers[1] && numbers[2] == 0, "\(outcome.standardOutput)")
    }

    /// Lending a closure to the workers allocates its context, and nothing else does.
    @Test(.enabled(if: Compute.hasFastBFloat16, "without AVX-512, oneDNN's matmul allocates"))
    func moreThreadsTakeContextsAlone() throws {
        let counts = try counts("bf16", threads: 2, accumulation: 1)
        #expect(try #require(counts["allocations bytes"]) <= 64)
        #expect(counts["threads"] == 0)
        #expect(counts["primitives"] == 0)
    }
}
