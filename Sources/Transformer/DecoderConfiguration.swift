import Basics
import Kernels

/// A decoder: its sizes, and what its parts compute. The one description that layout, passes, files and commands read.
///
/// Every block is pre-norm: attention and MLP each read a norm of the residual stream and add to it.
package struct DecoderConfiguration: Equatable, Sendable {
    /// Which family's names its tensors and its `config.json` have.
    package var architecture = Architecture.gpt2

    // Sizes.
    /// Number of token ids, V.
    package var vocabularySize: Int
    /// Tokens that a position can look back on, its own included, T.
    package var contextLength: Int
    /// Width of the residual stream, C.
    package var embeddingSize: Int
    /// Number of blocks, L.
    package var layerCount: Int
    /// Attention heads, H.
    package var headCount: Int
    /// Heads of keys and values, G, each shared by H / G heads; divides H.
    package var keyValueHeadCount: Int
    /// The width of one attention head, D.
    package var headSize: Int
    /// Width of the MLP between its layers, I.
    package var innerSize: Int

    // Norms.
    package var norm = NormKind.layerNorm
    /// Added to the variance, or mean square, in every norm.
    package var normEpsilon = 1e-5
    /// Whether the embedding goes through a norm too.
    package var normalizesEmbedding = false

    // Attention.
    package var positions = Positions.learned
    /// Whether queries, keys and values have biases.
    package var hasQueryKeyValueBias = true
    /// Whether attention's output projection has one.
    package var hasProjectionBias = true
    /// Whether each head's query and key go through an RMSNorm of their own, with weights where `norm` has some.
    package var normalizesHeads = false
    /// Whether query, key and value of each head lie side by side in one tensor, as GPT-NeoX has them.
    package var interleavesHeads = false
    /// Whether scores are divided by the root of the head size.
    package var scalesAttention = true
    /// Whether they are divided by the number of the layer, from 1, too (Mistral's GPT-2 of Stanford CRFM).
    package var scalesAttentionByLayer = false

    // MLP.
    /// What stands between the MLP's layers.
    package var activation = Activation.geluNew
    /// Whether a second layer beside the first multiplies the activation's output (Shazeer 2020).
    package var isGated = false
    package var hasMLPBias = true
    /// Whether attention and MLP of a block read the same residual stream (GPT-J, GPT-NeoX).
    package var hasParallelResidual = false

    // Head.
    /// Whether the head is the token embedding and not a tensor of its own.
    package var hasTiedHead = true
    /// Logits z become cap · tanh(z / cap) (Gemma 2); nil: as they are.
    package var logitSoftCap: Double?

    /// How a new model is drawn.
    package var initialization = InitializationRecipe.gpt2

    /// A decoder as GPT-2 is, with these sizes; not checked yet.
    package init(
        unchecked architecture: Architecture = .gpt2, vocabularySize: Int, contextLength: Int, embeddingSize: Int,
        layerCount: Int, headCount: Int, keyValueHeadCount: Int? = nil, headSize: Int? = nil, innerSize: Int? = nil
    ) {
        self.architecture = architecture
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.embeddingSize = embeddingSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount ?? headCount
        self.headSize = headSize ?? embeddingSize / max(1, headCount)
        self.innerSize = innerSize ?? embeddingSize.multipliedReportingOverflow(by: 4).partialValue
    }

    /// GPT-2 of these sizes; `innerSize` is 4 · `embeddingSize` there.
    /// - Throws: `ExitError` naming the value and what was expected.
    package init(
        vocabularySize: Int, contextLength: Int, embeddingSize: Int, layerCount: Int, headCount: Int,
        innerSize: Int? = nil
    ) throws(ExitError) {
        self.init(
            unchecked: .gpt2, vocabularySize: vocabularySize, contextLength: contextLength,
            embeddingSize: embeddingSize, layerCount: layerCount, headCount: headCount, innerSize: innerSize)
        try requireHeadsDivideWidth()
        try validate()
    }
}

/// The families of decoders. A case is a name that users and `config.json` give; what a family is stands in a file of its
/// own in `Checkpointing/Families`.
package enum Architecture: String, CaseIterable, Sendable {
    case gpt2, llama, mistral, qwen2, qwen3, modern
    case gptNeoX = "gpt-neox"
}

/// What a norm does with a row x.
package enum NormKind: Equatable, Sendable {
    /// (x − mean) / √(variance + ε) · weight + bias (Ba et al. 2016).
    case layerNorm
    /// x / √(mean of squares + ε) · weight (Zhang & Sennrich 2019).
    case rms
    /// The same without weights.
    case plainRMS

    package var hasWeight: Bool { self != .plainRMS }
    package var hasBias: Bool { self == .layerNorm }
}

/// How a decoder knows where a token stands.
package enum Positions: Equatable, Sendable {
    /// An embedding for each position.
    case learned
    /// Queries and keys are turned by angles that grow with the position (Su et al. 2021).
    case rotary(RotaryPositions)

    package var rotary: RotaryPositions? { if case .rotary(let rotary) = self { rotary } else { nil } }
}

/// How new weights are drawn: normal deviates, biases 0, weights of norms 1.
package enum InitializationRecipe: Equatable, Sendable {
    /// Deviation 0.02; 0.02 / √(2 L) for what adds to the residual stream (Radford et al. 2019).
    case gpt2
    /// Deviation 0.02 for all, as Hugging Face's models of other families have it.
    case plain
    /// Embedding 0.02, other matrices 1 / √C, and zeros for what adds to the residual stream.
    case zeroProjections
}
