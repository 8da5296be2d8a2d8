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
    /// Sequences of the test's stream.
    private static let available = 256

    static let precisions = Precision.allCases.filter { $0 == .fp32 || Compute.hasFastBFloat16 }

    private static func model(microBatch: Int, _ precision: Precision = .fp32) throws -> any LanguageModel {
        let shape = try DecoderConfiguration(
            vocabularySize: vocabulary, contextLength: context, embeddingSize: 32, layerCount: 1, headCount: 2)
        let model = try makeLanguageModel(
            shape, precision: precision, microBatch: microBatch, compute: Compute(threadCount: 1), training: false)
        model.layout.initialize(model.weights, seed: 5)
        model.refreshOperands()
        return model
    }

    private static func evaluator(_ sequences: Int?) throws -> Evaluator {
        let stream = try TokenStream(glob: FilePath(Curve.tokens), vocabularySize: vocabulary)
        return try Evaluator(stream: stream, contextLength: context, sequences: sequences)
    }

    private static func evaluate(
        _ sequences: Int?, microBatch: Int, _ precision: Precision = .fp32,
        on communicator: any Communicator = SingleProcess()
    ) throws -> Evaluator.Result {
        try #require(
            try evaluator(sequences).evaluate(model(microBatch: microBatch, precision), on: communicator))
    }

    /// 20 of them, all of them (256), a number that micro-batches do not divide, more than there are, one.
    @Test(
        "S2: the same bits at any micro-batch and any number of ranks", arguments: [20, nil, 37, 1000, 1], precisions)
    func theBitsDependOnNothingButTheSequences(sequences: Int?, precision: Precision) throws {
        let alone = try Self.evaluate(sequences, microBatch: 4, precision)
        #expect(alone.tokens == min(Self.available, sequences ?? Self.available) * Self.context)
        for microBatch in [1, 2, 3, 8, 300] {
            let other = try Self.evaluate(sequences, microBatch: microBatch, precision)
            #expect(other.loss.bitPattern == alone.loss.bitPattern, "micro-batch \(microBatch)")
            #expect(other.tokens == alone.tokens)
        }
        for (ranks, microBatch) in [(2, 4), (3, 1), (4, 8)] {
            let results = try ThreadWorld.run(worldSize: ranks) { communicator in
                try Self.evaluate(sequences, microBatch: microBatch, precision, on: communicator)
            }
            for result in results { #expect(result == alone, "\(ranks) ranks of \(microBatch)") }
        }
    }

    /// One sequence after another, added up.
    @Test("S2: the loss is the mean over sequence ⌊i · M / N⌋ for i = 0 … N − 1", arguments: [7, 20, 37, nil])
    func theLossIsThePlainMean(sequences: Int?) throws {
        let result = try Self.evaluate(sequences, microBatch: 3)
        let count = sequences ?? Self.available
        let single = try Self.model(microBatch: 1)
        let stream = try TokenStream(glob: FilePath(Curve.tokens), vocabularySize: Self.vocabulary)
        var sum = 0.0
        for index in 0..<count {
            try single.inputs.withMutableSpan(0..<Self.context) { inputs throws(any Error) in
                try single.targets.withMutableSpan(0..<Self.context) { targets throws(any Error) in
                    try stream.copySequence(
                        index * Self.available / count, contextLength: Self.context, inputs: &inputs,
                        targets: &targets)
                }
            }
            sum += try single.loss(sequences: 1)
        }
        #expect(result.loss == sum / Double(count * Self.context))
        // A fresh model knows nothing: close to the uniform distribution's loss.
        #expect((result.loss - 4.1588).magnitude < 0.1)
    }

    /// The first, none twice, and gaps that differ by one at most: no place of the data is left out.
    @Test("S2: sequences are spread evenly", arguments: [1, 2, 7, 37, 160, 255, 256])
    func sequencesAreSpreadEvenly(count: Int) throws {
        let evaluator = try Self.evaluator(count)
        let chosen = (0..<count).map(evaluator.sequence) + [Self.available]
        #expect(chosen[0] == 0)
        let gaps = Set(zip(chosen, chosen.dropFirst()).map { $1 - $0 })
        #expect(gaps.isSubset(of: [Self.available / count, Self.available / count + 1]), "\(gaps)")
    }

    @Test("T2: as many sequences as an Int can hold are all there are")
    func moreThanThereAreIsAll() throws {
        #expect(try Self.evaluator(.max).count == Self.available)
        #expect(try Self.evaluator(.max).coverage == "all 256 sequences, 4096 tokens")
        #expect(try Self.evaluator(16).coverage == "16 of 256 sequences, spread evenly, 256 tokens")
    }

    /// All ranks ask as often as the busiest has micro-batches, and all leave together.
    @Test("H3: an evaluation ends early on all ranks together", arguments: [1, 2, 3]) func anEvaluationCanBeEnded(
        ranks: Int
    ) throws {
        let asked = try ThreadWorld.run(worldSize: ranks) { communicator in
            var count = 0
            let result = try Self.evaluator(nil).evaluate(Self.model(microBatch: 8), on: communicator) {
                count += 1
                return try communicator.allReduce(Int64(count), .maximum) < 5
            }
            #expect(result == nil)
            return count
        }
        #expect(asked == Array(repeating: 5, count: ranks))
    }

    @Test func tooFewTokensAreAnError() throws {
        let stream = try TokenStream(glob: FilePath(Curve.tokens), vocabularySize: Self.vocabulary)
        let error = #expect(throws: ExitError.self) {
            try Evaluator(stream: stream, contextLength: 4097, sequences: nil)
        }
        #expect(error?.exitCode == 65)
    }
}
