internal import Basics
internal import TokenData

/// Text that has become a tokenizer and token shards: `swiftlet tokenize`.
public struct Corpus: Sendable {
    /// The tokenizer that was trained or given.
    public let tokenizer: Tokenizer
    /// Tokens to train on, `endOfText` before each document included.
    public let trainTokens: Int
    /// Tokens to evaluate on.
    public let validationTokens: Int
    /// The files of `trainTokens`.
    public let trainPaths: [String]
    /// The files of `validationTokens`.
    public let validationPaths: [String]
    /// What should be looked at, a line each.
    public let warnings: [String]

    /// Trains a tokenizer on text unless one is given, encodes the text on all allowed cores, and writes `tokenizer.json`,
    /// `train_000000.bin`, … and `val_000000.bin`, …
    /// - Parameters:
    ///   - paths: files, and folders taken recursively. Each file is a document; hidden ones, and those that are no text,
    ///     are left out.
    ///   - folder: where the files go; made if need be.
    ///   - vocabularySize: of a tokenizer that is trained, as in ``Tokenizer/init(trainingOn:vocabularySize:minimumFrequency:)``.
    ///   - tokenizer: one to use as it is.
    ///   - validationShare: the part of the text that becomes validation data, 0 ..< 1.
    ///   - overwrites: whether a corpus in that folder gives way.
    /// - Throws: exit codes 64 for a value, 65 and 66 for the text, 73 and 74 for the output, 81 where another process
    ///   writes there.
    public init(
        tokenizing paths: [String], into folder: String, vocabularySize: Int = 8192, tokenizer: Tokenizer? = nil,
        validationShare: Double = 0.1, overwrites: Bool = false
    ) throws(SwiftletError) {
        guard (0..<1).contains(validationShare) else {
            throw SwiftletError("validationShare is \(validationShare), expected 0 or more and less than 1")
        }
        let summary = try translated {
            let output = CorpusOutput(path: try FilePath(argument: folder), overwrites: overwrites)
            try output.requireFree(for: tokenizer?.tables)
            let source = try CorpusSource(paths: paths.map { try FilePath(argument: $0) }, output: output)
            let work = CorpusTokenizer(source: source, output: output, validationFraction: validationShare)
            return try work.run(tokenizer: tokenizer?.tables, trainer: BPETrainer(vocabularySize: vocabularySize))
        }
        self.tokenizer = Tokenizer(tables: summary.tokenizer)
        trainTokens = summary.trainTokens
        validationTokens = summary.validationTokens
        trainPaths = summary.trainPaths.map { CommandLineText.decoding($0.bytes) }
        validationPaths = summary.validationPaths.map { CommandLineText.decoding($0.bytes) }
        warnings = summary.warnings
    }
}

extension Tokenizer {
    init(tables: TokenData.Tokenizer) { self.tables = tables }
}
