import Basics
import Kernels

/// A decoder of GPT-2's kind, pre-norm with learned positions: its sizes, and what its parts compute.
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
    /// Width of the MLP between its two layers, I.
    package var innerSize: Int
    /// What stands between these.
    package var activation: Activation
    /// Added to the variance in every norm.
    package var normEpsilon: Double
    /// Whether the head is the token embedding and not a tensor of its own.
    package var hasTiedHead: Bool
    /// Whether scores are divided by the root of the head size.
    package var scalesAttention: Bool
    /// Whether they are divided by the number of the layer, from 1, too (Mistral's GPT-2 of Stanford CRFM).
    package var scalesAttentionByLayer: Bool

    /// Checks the shape. What is not given is as in GPT-2; `innerSize` is 4 · `embeddingSize` there.
    /// - Throws: `ExitError` naming the value and what was expected.
    package init(
        vocabularySize: Int, contextLength: Int, embeddingSize: Int, layerCount: Int, headCount: Int,
        innerSize: Int? = nil, activation: Activation = .geluNew, normEpsilon: Double = 1e-5, hasTiedHead: Bool = true,
        scalesAttention: Bool = true, scalesAttentionByLayer: Bool = false
    ) throws(ExitError) {
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.embeddingSize = embeddingSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.innerSize = innerSize ?? embeddingSize.multipliedReportingOverflow(by: 4).partialValue
        self.activation = activation
        self.normEpsilon = normEpsilon
        self.hasTiedHead = hasTiedHead
        self.scalesAttention = scalesAttention
        self.scalesAttentionByLayer = scalesAttentionByLayer
        let named = [
            ("vocabulary size", vocabularySize, Self.vocabularySizes),
            ("context length", contextLength, Self.contextLengths),
            ("embedding size", embeddingSize, Self.embeddingSizes),
            ("number of layers", layerCount, Self.layerCounts), ("number of heads", headCount, Self.headCounts),
            ("inner size", self.innerSize, Self.innerSizes),
        ]
        for (name, value, range) in named where !range.contains(value) {
            throw ExitError(
                .usage, "\(name) is \(value), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        guard Self.normEpsilons.contains(normEpsilon) else {
            throw ExitError(
                .usage,
                "the norms' epsilon is \(normEpsilon), expected a number from \(Self.normEpsilons.lowerBound) to "
                    + "\(Self.normEpsilons.upperBound)")
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
    package static let innerSizes = 1...1 << 19
    package static let normEpsilons = 1e-12...1
    /// The largest number of parameters: 2³¹ of them are 34 GB of training state.
    static let parameterLimit = 1 << 31

    /// What the scores of a layer, from 0, are multiplied by.
    package func attentionScale(layer: Int) -> Float {
        let scale = scalesAttention ? 1 / Float(headSize).squareRoot() : 1
        return scalesAttentionByLayer ? scale / Float(layer + 1) : scale
    }

    /// What is otherwise than in GPT-2, in words.
    package var differences: [String] {
        [
            innerSize == 4 * embeddingSize ? nil : "inner \(innerSize)",
            activation == .geluNew ? nil : activation.rawValue,
            normEpsilon == 1e-5 ? nil : "epsilon \(normEpsilon)", hasTiedHead ? nil : "own head",
            scalesAttention ? nil : "scores not scaled", scalesAttentionByLayer ? "scores scaled by layer" : nil,
        ].compactMap(\.self)
    }

    /// Number of parameters; a tied head has none of its own.
    package var parameterCount: Int {
        let (c, inner) = (embeddingSize, innerSize)
        return (hasTiedHead ? 1 : 2) * vocabularySize * c + contextLength * c
            + layerCount * (4 * c * c + 2 * c * inner + 9 * c + inner) + 2 * c
    }

    /// Floating-point operations of forward and backward a token: 6 × parameters without those that are only looked up
    /// (positions, and tokens where the head is not tied) + 12 · layers · width · context (nanoGPT's formula, after the
    /// PaLM paper's appendix B).
    package var flopsPerToken: Double {
        6 * Double(parameterCount - (contextLength + (hasTiedHead ? 0 : vocabularySize)) * embeddingSize)
            + 12 * Double(layerCount) * Double(embeddingSize) * Double(contextLength)
    }
}
