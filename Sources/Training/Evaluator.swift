import Collectives
import DataParallel
import TokenData
import Transformer

/// The mean loss over the first sequences of a stream, in file order, shared by all ranks.
///
/// The work is cut into batches of the model's micro-batch size, whose losses are added in order: the result has the
/// same bits at any number of ranks.
public struct Evaluator {
    /// What an evaluation found.
    public struct Result: Sendable, Equatable {
        /// Mean loss a token, in nats.
        public var loss: Double
        /// Tokens that were predicted.
        public var tokens: Int
        /// e^loss.
        public var perplexity: Double { exponential(loss) }
    }

    let stream: TokenStream
    package let sequences: Int
    let contextLength: Int

    /// Takes up to `batches` batches of `batchSize` sequences; nil takes all there are.
    /// - Throws: `TokenDataError` when there is not one sequence.
    public init(stream: TokenStream, contextLength: Int, batchSize: Int, batches: Int?) throws {
        self.stream = stream
        self.contextLength = contextLength
        let available = try stream.requireSequences(contextLength: contextLength)
        sequences = batches.map { min(available, $0 * batchSize) } ?? available
    }

    /// Evaluates on all ranks; every rank gets the result.
    public func evaluate(
        _ model: any LanguageModel, on communicator: any Communicator, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> Result {
        let batchSize = model.microBatch
        let batches = (sequences + batchSize - 1) / batchSize
        let share =
            batches * communicator.rank / communicator.worldSize..<batches * (communicator.rank + 1)
            / communicator.worldSize
        let losses = CanonicalSum(count: batches)
        for batch in share {
            let first = batch * batchSize
            let count = min(batchSize, sequences - first)
            for row in 0..<count { try stream.copySequence(first + row, to: row, of: model, contextLength) }
            // Rows past the end repeat old tokens; their losses are not counted.
            losses[batch] = try model.loss(sequences: count)
            progress(batch - share.lowerBound + 1, share.count)
        }
        try losses.share(on: communicator)
        let tokens = sequences * contextLength
        return Result(loss: losses.sum / Double(tokens), tokens: tokens)
    }
}
