import Kernels
import TestSupport
import Testing

/// A step finds everything in place: it takes no memory, starts no thread and makes no oneDNN primitive.
///
/// `allocation-check` counts in a process of its own, because it replaces malloc.
@Suite struct AllocationTests {
    /// Counts of five steps by name.
    private func counts(_ precision: String, threads: Int, accumulation: Int) throws -> [String: Int] {
        let outcome = try Subprocess.run(
            BuildProducts.executable("allocation-check"), [precision, "\(threads)", "\(accumulation)"], timeout: 120)
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
        arguments: ["fp32", "bf16"], [1, 3])
    func aStepTakesNothing(precision: String, accumulation: Int) throws {
        let counts = try counts(precision, threads: 1, accumulation: accumulation)
        #expect(counts["allocations"] == 0)
        #expect(counts["threads"] == 0)
        #expect(counts["primitives"] == 0)
        // oneDNN's own objects for a call: their number is its business, their size shows that no operand is among them.
        #expect(try #require(counts["objects bytes"]) < 512)
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
