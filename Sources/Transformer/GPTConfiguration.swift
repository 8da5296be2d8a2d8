import Basics

/// The shape of a GPT-2 model: pre-norm, learned positions, tied embeddings, tanh GELU.
package struct GPTConfiguration: Equatable, Sendable {
    /// Number of token ids, V.
    package var vocabularySize: Int
    /// Tokens that a position can look back on, its own included, T.
    package var contextLength: Int
    /// Width of the residual stream, C.
    package var embeddingSize: Int
    /// Number of blocks, L.
    package var layerCount: Int
    /// Attention heads, H; must divide the embedding size.
    package var headCount: Int

    /// Checks the shape.
    /// - Throws: `ExitError` naming the value and what was expected.
    package init(
        vocabularySize: Int, contextLength: Int, embeddingSize: Int, layerCount: Int, headCount: Int
    ) throws(ExitError) {
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.embeddingSize = embeddingSize
        self.layerCount = layerCount
        self.headCount = headCount
        let named = [
            ("vocabulary size", vocabularySize, Self.vocabularySizes),
            ("context length", contextLength, Self.contextLengths),
            ("embedding size", embeddingSize, Self.embeddingSizes),
            ("number of layers", layerCount, Self.layerCounts), ("number of heads", headCount, Self.headCounts),
        ]
        for (name, value, range) in named where !range.contains(value) {
            throw ExitError(
                .usage, "\(name) is \(value), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        guard embeddingSize % headCount == 0 else {
            let near = (1...embeddingSize).filter { embeddingSize % $0 == 0 }
                .min { abs($0 - headCount) < abs($1 - headCount) }
            throw ExitError(
                .usage,
                "embedding size \(embeddingSize) is not a multiple of \(headCount) heads; "
                    + "the nearest number of heads that divides it is \(near ?? 1)")
        }
        guard parameterCount <= Self.parameterLimit else {
            throw ExitError(
                .usage,
                "the model would have \(parameterCount) parameters, more than the \(Self.parameterLimit) supported; "
                    + "make it narrower or shallower")
        }
    }

    /// The width of one attention head, D.
    package var headSize: Int { embeddingSize / headCount }

    // What is accepted; products of these fit into 64 bits.
    package static let vocabularySizes = 2...1 << 24
    package static let contextLengths = 1...1 << 20
    package static let embeddingSizes = 1...1 << 17
    package static let layerCounts = 1...1 << 12
    package static let headCounts = 1...1 << 12
    /// The largest number of parameters: 2³¹ of them are 34 GB of training state.
    static let parameterLimit = 1 << 31

    /// Number of parameters; the head shares the token embedding's.
    package var parameterCount: Int {
        let c = embeddingSize
        return vocabularySize * c + contextLength * c + layerCount * (12 * c * c + 13 * c) + 2 * c
    }

    /// Floating-point operations of forward and backward a token: 6 × parameters without the position embedding
    /// + 12 · layers · width · context (nanoGPT's formula, after the PaLM paper's appendix B).
    package var flopsPerToken: Double {
        6 * Double(parameterCount - contextLength * embeddingSize)
            + 12 * Double(layerCount) * Double(embeddingSize) * Double(contextLength)
    }
}
