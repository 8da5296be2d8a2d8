import Basics
import Collectives
import Kernels
import TestSupport
import Testing
import TokenData
import Training
import Transformer

@Suite struct EvaluatorTests {
    private static let vocabulary = 64
    private static let context = 16

    private static func model(microBatch: Int) throws -> any LanguageModel {
        let shape = try GPTConfiguration(
            vocabularySize: vocabulary, contextLength: context, embeddingSize: 32, layerCount: 1, headCount: 2)
        let model = try makeLanguageModel(
            shape, precision: .fp32, microBatch: microBatch, compute: Compute(threadCount: 1), training: false)
        model.layout.initialize(model.weights, seed: 5)
        model.refreshOperands()
        return model
    }

    private static func evaluator(microBatch: Int, batches: Int?) throws -> Evaluator {
        let stream = try TokenStream(glob: Curve.tokens, vocabularySize: vocabulary)
        return try Evaluator(stream: stream, contextLength: context, batchSize: microBatch, batches: batches)
    }

    /// Whole batches, a partial last one (256 sequences in threes), more batches asked for than there are, one batch
    /// for four ranks.
    @Test(arguments: [(4, 5), (3, nil), (8, 1000), (4, 1), (5, 3)])
    func everyNumberOfRanksHasTheSameBits(microBatch: Int, batches: Int?) throws {
        let alone = try Self.evaluator(microBatch: microBatch, batches: batches).evaluate(
            Self.model(microBatch: microBatch), on: SingleProcess())
        let expectedSequences = min(256, batches.map { $0 * microBatch } ?? 256)
        #expect(alone.tokens == expectedSequences * Self.context)
        for ranks in [2, 3, 4] {
            let results = try ThreadWorld.run(worldSize: ranks) { communicator in
                try Self.evaluator(microBatch: microBatch, batches: batches).evaluate(
                    Self.model(microBatch: microBatch), on: communicator)
            }
            for result in results {
                #expect(result.loss.bitPattern == alone.loss.bitPattern, "\(ranks) ranks")
                #expect(result.tokens == alone.tokens)
            }
        }
    }

    /// One sequence after another, added up.
    @Test(arguments: [(1, 7), (3, 20), (3, nil), (8, nil)])
    func theLossIsThePlainMean(microBatch: Int, batches: Int?) throws {
        let evaluator = try Self.evaluator(microBatch: microBatch, batches: batches)
        let result = try evaluator.evaluate(Self.model(microBatch: microBatch), on: SingleProcess())
        let single = try Self.model(microBatch: 1)
        let stream = try TokenStream(glob: Curve.tokens, vocabularySize: Self.vocabulary)
        var sum = 0.0
        for sequence in 0..<evaluator.sequences {
            try single.inputs.withMutableSpans(0..<Self.context, and: single.targets) {
                inputs, targets throws(TokenDataError) in
                try stream.copySequence(sequence, contextLength: Self.context, inputs: &inputs, targets: &targets)
            }
            sum += try single.loss(sequences: 1)
        }
        let mean = sum / Double(evaluator.sequences * Self.context)
        #expect((result.loss - mean).magnitude <= 1e-6 * mean)
        // A fresh model knows nothing: close to the uniform distribution's loss.
        #expect((result.loss - 4.1588).magnitude < 0.1)
    }

    @Test func tooFewTokensAreAnError() throws {
        let stream = try TokenStream(glob: Curve.tokens, vocabularySize: Self.vocabulary)
        let error = #expect(throws: TokenDataError.self) {
            try Evaluator(stream: stream, contextLength: 4097, batchSize: 1, batches: nil)
        }
        #expect(error?.exitCode == 65)
    }
}
