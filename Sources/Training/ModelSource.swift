import Basics
import Checkpointing
import Kernels
import TokenData
import Transformer

/// Where a run's model comes from: the checkpoint that it goes on from, a Hugging Face directory, or options and the
/// tokenizer beside the data.
struct ModelSource {
    /// The model as Hugging Face's files describe it.
    let description: ModelDescription
    var shape: DecoderConfiguration { description.shape }
    /// What gives the first weights, if anything does.
    let weights: (any ModelFiles)?
    /// `tokenizer.json`, byte for byte, for the checkpoints.
    let tokenizerFile: [UInt8]?
    /// `tokenizer_config.json` of a model whose tokenizer is kept without being read.
    let tokenizerConfiguration: [UInt8]?
    /// What is to be said of it.
    private let tokenizerRemark: String?
    /// The tokenizer of the data, where it is one that is read here.
    let tokenizer: Tokenizer?
    /// SHA-256 of `tokenizerFile`.
    let tokenizerHash: String?
    /// What the tokenizer calls the token that ends a text, where it is one of its added tokens.
    let endOfTextName: String?
    /// What the model was trained with so far; nil at the start of a model without a past.
    private let modelTokenizer: TokenizerIdentity.Origin?

    /// - Parameters:
    ///   - configuration: at a resume with the shape of the checkpoint.
    ///   - saved: the model of the checkpoint that the run goes on from; then nothing but the checkpoint is needed.
    ///   - checkpoint: rank 0's.
    ///   - data: the folder of the training data; nil where there is none: in a plan, or for data of a program's own.
    ///   - vocabularySize: of that data.
    /// - Throws: `ExitError` naming the file or option.
    init(
        _ configuration: TrainingConfiguration, saved: ModelDescription?, checkpoint: Checkpoint?, data: FilePath?,
        vocabularySize: Int? = nil
    ) throws {
        let initial = saved != nil ? nil : try configuration.initFrom.map { try SavedModel($0) }
        weights = initial?.files
        // A resume takes the checkpoint's own; beside the data it may be gone, or be another one.
        let past = try checkpoint.map { try SavedModel($0) } ?? initial
        let (own, remark) = try past?.tokenizerIfRead() ?? (nil, nil)
        tokenizerRemark = remark
        let beside = checkpoint == nil || own == nil ? try data.flatMap { try Tokenizer.inFolder($0) } : nil
        let found = beside ?? own
        tokenizerFile = try found?.json ?? past?.contents(of: Checkpoint.FileName.tokenizer)
        tokenizerConfiguration = try found == nil ? past?.contents(of: "tokenizer_config.json") : nil
        tokenizerHash = try tokenizerFile.map { try SHA256.hash($0) }
        modelTokenizer = try past.map {
            .init(
                checkpoint == nil ? "--init-from '\($0.path.shown)'" : $0.path.lastComponent?.string ?? "",
                try own?.tokenizer.identity())
        }
        let tokenizer = found?.tokenizer
        self.tokenizer = tokenizer
        // What the model says of itself holds: its own end of a text may be another token than ours.
        let ownEnd = tokenizer?.endOfTextID.map(Int.init)
        let endOfText = past?.files.description.endTokenID ?? ownEnd
        // A tokenizer can name an added token alone.
        let end = tokenizer?.addedTokens.first { Int($0.id) == endOfText }
        endOfTextName = end.map { String(decoding: $0.content, as: UTF8.self) }

        let shape: DecoderConfiguration
        if let given = saved ?? weights?.description {
            shape = saved == nil ? configuration.shape(of: given.shape) : given.shape
            try configuration.requireNoContradiction(to: shape, of: past?.path ?? configuration.runDirectory)
        } else {
            guard let vocabulary = configuration.vocabularySize ?? tokenizer?.vocabularySize ?? vocabularySize
            else {
                throw ExitError.usage(
                    data.map {
                        "--vocab-size is missing, and there is no tokenizer.json in \($0.shown) to take it from"
                    }
                        ?? "--vocab-size is missing; give it, or --train-data with a tokenizer.json beside it")
            }
            shape = try configuration.newShape(vocabularySize: vocabulary)
        }
        if let tokenizer, tokenizer.vocabularySize > shape.vocabularySize {
            let folder = (beside == nil ? past?.path : nil) ?? data ?? configuration.runDirectory
            let advice = initial == nil ? "leave --vocab-size out" : "make the shards with --tokenizer of that model"
            throw ExitError.usage(
                "the tokenizer in \(folder.shown) has \(tokenizer.vocabularySize) tokens, the model only "
                    + "\(shape.vocabularySize); \(advice)")
        }
        description = ModelDescription(
            shape: shape, beginTokenID: past?.files.description.beginTokenID ?? endOfText, endTokenID: endOfText)
    }

    /// Checks that all data is of one tokenizer, and that it is the one that the model was trained with.
    ///
    /// - Returns: lines for the user, as `TokenizerIdentity.requireSame`.
    /// - Throws: exit code 65, naming the two that differ.
    func requireOneTokenizer(training: TokenStream?, validation: TokenStream?, allowOther: Bool) throws -> [String] {
        let streams = [("--train-data", training), ("--val-data", validation)]
        let origins = try streams.compactMap { name, stream in
            try stream?.tokenizer(name, allowOther: allowOther)
        }
        return try [tokenizerRemark].compactMap(\.self)
            + TokenizerIdentity.requireSame([modelTokenizer].compactMap { $0 } + origins, allowOther: allowOther)
    }
}
