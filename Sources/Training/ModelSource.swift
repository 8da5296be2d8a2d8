import Checkpointing
import Foundation
import Kernels
import TokenData
import Transformer

/// Where a run's model shape comes from: flags and the tokenizer beside the data, or a Hugging Face directory.
struct ModelSource {
    let shape: GPTConfiguration
    /// The directory that gives the first weights, if there is one.
    let weights: HuggingFaceModelFiles?
    /// `tokenizer.json`, byte for byte, for the checkpoints.
    let tokenizerFile: [UInt8]?
    /// SHA-256 of `tokenizerFile`.
    let tokenizerHash: String?
    /// The id that ends a text, for `config.json`.
    let endOfText: Int?
    /// What the tokenizer calls that id.
    let endOfTextName: String?

    init(_ configuration: TrainingConfiguration) throws {
        let weights = try configuration.initFrom.map { try HuggingFaceModelFiles(path: $0) }
        self.weights = weights
        let folders = [Self.folder(of: configuration.trainData)] + [configuration.initFrom].compactMap { $0 }
        var tokenizerFile: [UInt8]?
        var tokenizer: Tokenizer?
        for folder in folders where tokenizerFile == nil {
            tokenizerFile = try HuggingFaceModelFiles.contents(of: "tokenizer.json", in: folder)
            if tokenizerFile != nil { tokenizer = try Tokenizer(path: folder) }
        }
        self.tokenizerFile = tokenizerFile
        tokenizerHash = try tokenizerFile.map { try SHA256.hash($0) }
        endOfText = tokenizer?.endOfTextID.map(Int.init) ?? weights?.description.endTokenID
        endOfTextName = tokenizer?.endOfTextID.map { String(decoding: tokenizer?.bytes(of: $0) ?? [], as: UTF8.self) }

        if let found = weights?.description {
            let pairs = [
                ("layers", configuration.layers, found.layerCount), ("heads", configuration.heads, found.headCount),
                ("embedding-size", configuration.embeddingSize, found.embeddingSize),
                ("context-length", configuration.contextLength, found.contextLength),
                ("vocab-size", configuration.vocabularySize ?? found.vocabularySize, found.vocabularySize),
            ]
            for (name, flag, value) in pairs where configuration.given.contains(name) && flag != value {
                throw TrainingError.usage(
                    "--\(name) \(flag) contradicts \(value) in \(configuration.initFrom ?? ""); "
                        + "leave the option out or use another model")
            }
            shape = try GPTConfiguration(
                vocabularySize: found.vocabularySize, contextLength: found.contextLength,
                embeddingSize: found.embeddingSize, layerCount: found.layerCount, headCount: found.headCount)
        } else {
            guard let vocabulary = configuration.vocabularySize ?? tokenizer?.vocabularySize else {
                throw TrainingError.usage(
                    "--vocab-size is missing, and there is no tokenizer.json in \(folders[0]) to take it from")
            }
            shape = try GPTConfiguration(
                vocabularySize: vocabulary, contextLength: configuration.contextLength,
                embeddingSize: configuration.embeddingSize, layerCount: configuration.layers,
                headCount: configuration.heads)
        }
        if let tokenizer, tokenizer.vocabularySize > shape.vocabularySize {
            throw TrainingError.usage(
                "the tokenizer has \(tokenizer.vocabularySize) tokens, the model only \(shape.vocabularySize); "
                    + "leave --vocab-size out or use the tokenizer of the model")
        }
    }

    /// The directory of a file name or pattern.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The model as Hugging Face's files describe it.
    var description: GPT2ModelDescription {
        GPT2ModelDescription(
            vocabularySize: shape.vocabularySize, contextLength: shape.contextLength,
            embeddingSize: shape.embeddingSize, layerCount: shape.layerCount, headCount: shape.headCount,
            beginTokenID: endOfText, endTokenID: endOfText)
    }
}

extension HuggingFaceModelFiles {
    /// The model's shape, checked.
    public func shape() throws -> GPTConfiguration {
        try GPTConfiguration(
            vocabularySize: description.vocabularySize, contextLength: description.contextLength,
            embeddingSize: description.embeddingSize, layerCount: description.layerCount,
            headCount: description.headCount)
    }

    /// Reads all weights into an arena.
    public func read(into weights: Buffer<Float>, layout: ParameterLayout) throws {
        for parameter in layout.parameters {
            try weights.withMutableSpan(parameter.range) { (values: inout MutableSpan<Float>) throws(CheckpointError) in
                try read(parameter.name, into: &values)
            }
        }
    }
}
