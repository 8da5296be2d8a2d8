import Basics
import Checkpointing
import Kernels
import TokenData
import Transformer

/// Where a run's model comes from: the checkpoint that it goes on from, a Hugging Face directory, or options and the
/// tokenizer beside the data.
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

    /// - Parameters:
    ///   - configuration: at a resume with the shape of the checkpoint.
    ///   - resumes: whether the run goes on from a checkpoint; then nothing but the checkpoint is needed.
    ///   - checkpoint: rank 0's.
    /// - Throws: `TrainingError`, `TokenDataError`, `CheckpointError` or `GPTConfigurationError` naming the file or option.
    init(_ configuration: TrainingConfiguration, resumes: Bool, checkpoint: Checkpoint?) throws {
        let initial = try configuration.initFrom.map { try FilePath(argument: $0) }
        let weights = resumes ? nil : try initial.map { try SavedModel($0).files }
        self.weights = weights
        let data = try FilePath(argument: configuration.trainData).parent
        let kept = try checkpoint?.contents(of: Checkpoint.FileName.tokenizer)
        // A resume takes the checkpoint's own; beside the data it may be gone, or be another one.
        let folders =
            kept == nil
            ? [data] + (resumes ? [] : [initial].compactMap { $0 }) : [checkpoint?.path ?? "."]
        var found: (file: [UInt8], tokenizer: Tokenizer)?
        for folder in folders where found == nil {
            guard let file = try HuggingFaceModelFiles.contents(of: "tokenizer.json", in: folder) else { continue }
            found = (file, try Tokenizer(path: folder.string))
        }
        tokenizerFile = found?.file
        tokenizerHash = try found.map { try SHA256.hash($0.file) }
        let description =
            try weights?.description
            ?? checkpoint?.contents(of: Checkpoint.FileName.configuration).map {
                try GPT2ModelDescription(configurationJSON: $0, file: Checkpoint.FileName.configuration)
            }
        let tokenizer = found?.tokenizer
        endOfText = tokenizer?.endOfTextID.map(Int.init) ?? description?.endTokenID
        endOfTextName = tokenizer?.endOfTextID.map { String(decoding: tokenizer?.bytes(of: $0) ?? [], as: UTF8.self) }

        if let weights {
            shape = weights.description.shape
            try configuration.requireNoContradiction(to: shape, of: configuration.initFrom ?? "")
        } else {
            guard let vocabulary = configuration.vocabularySize ?? tokenizer?.vocabularySize else {
                throw TrainingError.usage(
                    "--vocab-size is missing, and there is no tokenizer.json in \(data.shown) to take it from")
            }
            shape = try GPTConfiguration(
                vocabularySize: vocabulary, contextLength: configuration.contextLength,
                embeddingSize: configuration.embeddingSize, layerCount: configuration.layers,
                headCount: configuration.heads)
        }
        if let tokenizer, tokenizer.vocabularySize > shape.vocabularySize {
            let advice = weights == nil ? "leave --vocab-size out" : "make the shards with --tokenizer of that model"
            throw TrainingError.usage(
                "the tokenizer in \(folders[0].shown) has \(tokenizer.vocabularySize) tokens, the model only "
                    + "\(shape.vocabularySize); \(advice)")
        }
        try requireSameTokenizer(besideData: data, configuration, checkpoint)
    }

    /// At a resume: the data must be made with the tokenizer that the checkpoint was trained with.
    private func requireSameTokenizer(
        besideData folder: FilePath, _ configuration: TrainingConfiguration, _ checkpoint: Checkpoint?
    ) throws {
        guard let checkpoint, let trained = checkpoint.state.tokenizerHash, !configuration.allowOtherTokenizer,
            let file = try HuggingFaceModelFiles.contents(of: "tokenizer.json", in: folder)
        else { return }
        let hash = try SHA256.hash(file)
        guard hash != trained else { return }
        throw TrainingError.badInput(
            "\(folder.shown)/tokenizer.json is another tokenizer (SHA-256 \(hash.prefix(16))…) than the one that \(checkpoint.path.lastComponent?.string ?? "the checkpoint")"
                + " was trained with (\(trained.prefix(16))…): its ids mean other texts; give the data of the same "
                + "tokenizer, or --allow-other-tokenizer if this is meant")
    }

    /// The model as Hugging Face's files describe it.
    var description: GPT2ModelDescription {
        GPT2ModelDescription(shape: shape, beginTokenID: endOfText, endTokenID: endOfText)
    }
}

extension TrainingConfiguration {
    /// Takes over the shape that a model directory or a tokenizer gave.
    mutating func adopt(_ shape: GPTConfiguration) {
        layers = shape.layerCount
        heads = shape.headCount
        embeddingSize = shape.embeddingSize
        contextLength = shape.contextLength
        vocabularySize = shape.vocabularySize
    }

    /// Checks that no option that was given says another shape than the model in `directory` has.
    fileprivate func requireNoContradiction(to shape: GPTConfiguration, of directory: String) throws(TrainingError) {
        var adopted = self
        adopted.adopt(shape)
        for row in Self.options where isGiven(row) {
            guard let own = row.write(self), let found = row.write(adopted), own != found else { continue }
            throw .usage(
                "--\(row.name) \(own) contradicts \(found) in \(directory); leave the option out or use another model")
        }
    }
}

extension HuggingFaceModelFiles {
    /// Reads all weights into an arena.
    public func read(into weights: Buffer<Float>, layout: ParameterLayout) throws {
        for parameter in layout.parameters {
            try weights.withMutableSpan(parameter.range) { (values: inout MutableSpan<Float>) throws(CheckpointError) in
                try read(parameter.name, into: &values)
            }
        }
    }
}
