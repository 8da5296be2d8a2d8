import Kernels

/// Which part of a model's values is dropped in training, each with a probability of its own.
package struct DropoutRates: Equatable, Sendable {
    /// Of the embedding.
    package var embedding = 0.0
    /// Of the attention's weights.
    package var attention = 0.0
    /// Of what attention and MLP add to the residual stream.
    package var residual = 0.0

    package init(embedding: Double = 0, attention: Double = 0, residual: Double = 0) {
        (self.embedding, self.attention, self.residual) = (embedding, attention, residual)
    }
}

/// Which micro-batch of a run a model computes: what its dropped values are a function of, beside their places; and how
/// long the pieces are that its sequences are cut into.
package struct MicroBatchKey: Sendable {
    package var seed: UInt64
    /// The step from 0.
    package var step: Int
    /// The micro-batch of the step, counted over all ranks.
    package var microBatch: Int
    /// Each sequence becomes context / length ones, which do not see each other; nil: they stay whole.
    package var pieceLength: Int?

    package init(seed: UInt64 = 0, step: Int = 0, microBatch: Int = 0, pieceLength: Int? = nil) {
        (self.seed, self.step, self.microBatch, self.pieceLength) = (seed, step, microBatch, pieceLength)
    }
}

extension Decoder {
    /// The places of a model where values are dropped.
    enum DropoutPlace: Int { case embedding, attention, attentionBranch, mlpBranch }

    /// What is dropped at a place of a layer, from 0; nil where nothing is. In a forward pass without gradients nothing is.
    func dropped(_ place: DropoutPlace, layer: Int = 0) -> Dropout? {
        guard let key = microBatchKey else { return nil }
        let probability =
            switch place {
            case .embedding: dropout.embedding
            case .attention: dropout.attention
            case .attentionBranch, .mlpBranch: dropout.residual
            }
        guard probability > 0 else { return nil }
        return Dropout(
            probability: probability, seed: key.seed, step: key.step, microBatch: key.microBatch,
            place: 4 * layer + place.rawValue)
    }
}
