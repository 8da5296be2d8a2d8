import Basics
import Transformer

/// A family of decoders: how its `config.json` says what a model is, and what a new one is like.
protocol ModelFamily: Sendable {
    /// The word of `model_type`.
    var modelType: String { get }
    /// The class of `transformers`, for `architectures`.
    var className: String { get }
    /// How names of tensors end that old files have and that are no weights.
    var bufferSuffixes: [String] { get }
    /// Other names of the head than the layout's that files may have.
    var otherHeadNames: [String] { get }

    /// The shape that members tell, not validated yet.
    /// - Throws: `JSONError` naming a member that is wrong, or that asks for what is not computed.
    func read(_ members: ModelMembers) throws -> DecoderConfiguration

    /// The members of `config.json` beside those that all families have, in any order.
    func members(of shape: DecoderConfiguration) -> [(String, JSONText)]

    /// The width of a new model's MLP; nil: four times that of the stream.
    func innerSize(embeddingSize: Int) -> Int?

    /// Makes a shape, which has its sizes, what new models of the family are.
    func setDefaults(of shape: inout DecoderConfiguration)
}

extension ModelFamily {
    var otherHeadNames: [String] { [] }
    func innerSize(embeddingSize: Int) -> Int? { nil }
}

extension Architecture {
    /// The one registry of families.
    var family: any ModelFamily {
        switch self {
        case .gpt2: GPT2Family()
        case .llama: LlamaFamily(isMistral: false)
        case .mistral: LlamaFamily(isMistral: true)
        case .qwen2: QwenFamily(isThird: false)
        case .qwen3: QwenFamily(isThird: true)
        case .gptNeoX: GPTNeoXFamily()
        case .modern: ModernFamily()
        }
    }

    /// The family of a `model_type`, if it is known.
    init?(modelType: String) {
        guard let found = Self.allCases.first(where: { $0.family.modelType == modelType }) else { return nil }
        self = found
    }
}

extension DecoderConfiguration {
    /// What a family means for a new model of these sizes. Not validated: options may change it first.
    ///
    /// - Parameters:
    ///   - keyValueHeadCount: nil: as many as heads.
    ///   - headSize: nil: the heads share the width.
    ///   - innerSize: nil: the family's own.
    /// - Throws: `ExitError` (64) where the width does not divide among the heads.
    package static func newModel(
        _ architecture: Architecture, vocabularySize: Int, contextLength: Int, embeddingSize: Int, layerCount: Int,
        headCount: Int, keyValueHeadCount: Int? = nil, headSize: Int? = nil, innerSize: Int? = nil
    ) throws(ExitError) -> DecoderConfiguration {
        let family = architecture.family
        var shape = DecoderConfiguration(
            unchecked: architecture, vocabularySize: vocabularySize, contextLength: contextLength,
            embeddingSize: embeddingSize, layerCount: layerCount, headCount: headCount,
            keyValueHeadCount: keyValueHeadCount, headSize: headSize,
            innerSize: innerSize ?? family.innerSize(embeddingSize: embeddingSize))
        if headSize == nil { try shape.requireHeadsDivideWidth() }
        family.setDefaults(of: &shape)
        return shape
    }
}
