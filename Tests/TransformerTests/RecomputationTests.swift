import Kernels
import TestSupport
import Testing
import Transformer

/// Activations that are computed again for the backward pass instead of kept.
@Suite struct RecomputationTests {
    /// Rows for two blocks of the head whose operands are packed.
    @Test(arguments: ["gpt2", "llama", "qwen3", "gpt-neox", "modern"], Precision.allCases)
    func sameBits(name: String, precision: Precision) throws {
        let variant = try #require(Families.all[name])
        for threads in 1...2 {
            let results = try [false, true].map { recomputes in
                let test = try TestModel(
                    vocabulary: 31, context: 75, width: 12, layers: 3, heads: 3, batch: 4, precision: precision,
                    threads: threads, recomputes: recomputes, variant: variant)
                test.setBatch(seed: 1)
                // A second batch finds what the first one left.
                _ = try test.lossAndGradients()
                test.setBatch(seed: 2)
                return try test.lossAndGradients()
            }
            #expect(results[0].loss == results[1].loss)
            let same = results[0].gradients.map(\.bitPattern) == results[1].gradients.map(\.bitPattern)
            #expect(same, "\(threads) threads")
            #expect(results[0].gradients.contains { $0 != 0 })
        }
    }

    /// A head of more weights than are packed at once.
    @Test(arguments: Precision.allCases)
    func sameBitsOfALargeHead(precision: Precision) throws {
        let results = try [false, true].map { recomputes in
            let test = try TestModel(
                vocabulary: 12_003, context: 75, width: 768, layers: 1, heads: 3, batch: 4, precision: precision,
                threads: 2, recomputes: recomputes)
            test.setBatch(seed: 1)
            return try test.lossAndGradients()
        }
        #expect(results[0].loss == results[1].loss)
        let same = results[0].gradients.map(\.bitPattern) == results[1].gradients.map(\.bitPattern)
        #expect(same)
        #expect(results[0].gradients.contains { $0 != 0 })
    }

    /// The largest sizes that options take are refused for want of room, and do not trap on the way.
    @Test(arguments: [(1024, 1 << 4, 1 << 19), (1, 1 << 12, 1 << 19)], ["gpt2", "llama"])
    func theLargestSizesArePlanned(shape: (width: Int, heads: Int, inner: Int), name: String) throws {
        let variant = try #require(Families.all[name])
        var configuration = try DecoderConfiguration(
            vocabularySize: 1000, contextLength: 1 << 20, embeddingSize: 1024, layerCount: 1, headCount: 16)
        variant(&configuration)
        (configuration.embeddingSize, configuration.headCount) = (shape.width, shape.heads)
        (configuration.keyValueHeadCount, configuration.innerSize) = (shape.heads, shape.inner)
        let compute = try Compute(threadCount: 1)
        for (training, recomputes) in [(true, false), (true, true), (false, false)] {
            let error = #expect(throws: KernelError.self) {
                _ = try makeLanguageModel(
                    configuration, precision: .fp32, microBatch: 1 << 24, compute: compute, training: training,
                    recomputes: recomputes, memory: Memory(planningWithin: 1 << 40))
            }
            #expect(error?.exitCode == 64)
        }
    }

    /// GPT-2 124 M, with all that a rank holds for its weights, against what it takes otherwise. In bf16 weights, gradients
    /// and moments alone are 0.58.
    @Test(arguments: [(Precision.fp32, 0.6), (.bf16, 0.68)])
    func shareOfTheMemory(precision: Precision, share: Double) throws {
        guard precision == .fp32 || Compute.hasFastBFloat16 else { return }
        let configuration = try DecoderConfiguration(
            vocabularySize: 50_257, contextLength: 1024, embeddingSize: 768, layerCount: 12, headCount: 12)
        let bytes = try [false, true].map { recomputes in
            let plan = Memory(planningWithin: .max)
            _ = try makeLanguageModel(
                configuration, precision: precision, microBatch: 4, compute: Compute(threadCount: 2), training: true,
                recomputes: recomputes, memory: plan)
            let weights = try #require(plan.bytes[.weights])
            // Gradients and two moments beside them.
            return plan.total + 3 * weights
        }
        #expect(Double(bytes[1]) <= share * Double(bytes[0]), "\(bytes)")
    }

    /// Where every product packs its weights, they are rounded on the way; too few rows do not pay for that.
    @Test(
        .enabled(if: Compute.hasFastBFloat16, "packed operands are for CPUs with AVX-512 and bf16"),
        arguments: [(rows: 64, hasCopy: false), (63, true), (1030, true)])
    func needsNoCopyOfTheWeights(rows: Int, hasCopy: Bool) throws {
        for recomputes in [true, false] {
            let test = try TestModel(
                vocabulary: 31, context: rows, width: 12, layers: 1, heads: 3, batch: 1, precision: .bf16,
                recomputes: recomputes)
            #expect((test.model.operandCopy != nil) == (hasCopy || !recomputes))
        }
    }

    /// Of each block, the stream at its start alone is kept.
    @Test(arguments: Families.names, Precision.allCases)
    func keepsLess(name: String, precision: Precision) throws {
        let variant = try #require(Families.all[name])
        let compute = try Compute(threadCount: 1)
        func bytes(layers: Int, recomputes: Bool, training: Bool = true) throws -> Int {
            var configuration = try DecoderConfiguration(
                vocabularySize: 31, contextLength: 256, embeddingSize: 48, layerCount: layers, headCount: 3)
            variant(&configuration)
            let plan = Memory(planningWithin: .max)
            _ = try makeLanguageModel(
                configuration, precision: precision, microBatch: 2, compute: compute, training: training,
                recomputes: recomputes, memory: plan)
            // Logits have a part of a block's memory.
            return (plan.bytes[.activations] ?? 0) + (plan.bytes[.logits] ?? 0)
        }
        let kept = try bytes(layers: 4, recomputes: false)
        let again = try bytes(layers: 4, recomputes: true)
        #expect(again < kept)
        #expect(try bytes(layers: 1, recomputes: true) < bytes(layers: 1, recomputes: false))
        let stream = try Buffer<Float>(count: 2 * 256 * 48, reserving: false).byteCount
        #expect(try bytes(layers: 5, recomputes: true) - again == stream)
        #expect(try bytes(layers: 5, recomputes: false) - kept > 2 * stream)
        // Without a backward pass one block serves all already.
        #expect(
            try bytes(layers: 4, recomputes: true, training: false)
                == bytes(layers: 4, recomputes: false, training: false))
    }
}
