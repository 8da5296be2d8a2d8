import ArgumentParser
import Basics
import TokenData

/// `swiftlet tokenize`: text in, tokenizer and token shards out.
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Turn text into a tokenizer and token shards.",
        discussion: """
            Trains a byte-level BPE tokenizer on the text (or takes the one of --tokenizer), and writes \
            tokenizer.json, train_000000.bin, … and val_000000.bin, … in llm.c's format. Each file is a document, \
            with <|endoftext|> before it; the same mark in a text is that token too. Hidden files, and files that are \
            no text, are left out.
            """)

    @Option(parsing: .upToNextOption, help: "Files, directories (taken recursively) or - for standard input.")
    var input: [String] = []

    @Option(help: "Directory for the tokenizer and the shards; made if need be.")
    var output: String

    @Option(help: "Tokens that the tokenizer learns: 256 bytes, <|endoftext|> and merges.")
    var vocabSize = 8192

    @Option(help: "Directory or file of a tokenizer to use as it is, instead of training one.")
    var tokenizer: String?

    @Option(help: "Share of the text that becomes validation data.")
    var valFraction = 0.1

    @Flag(help: "Replace the corpus that --output holds already.")
    var overwrite = false

    func validate() throws {
        if input.isEmpty { throw ValidationError("--input needs at least one file, directory or -") }
        if !(0..<1).contains(valFraction) {
            throw ValidationError("--val-fraction is \(valFraction); it must be 0 or more and less than 1")
        }
        do { _ = try BPETrainer(vocabularySize: vocabSize) } catch { throw ValidationError(error.description) }
    }

    func run() throws {
        let start = ContinuousClock.now
        let given = try tokenizer.map { try Tokenizer(path: FilePath(argument: $0)) }
        let output = CorpusOutput(path: try FilePath(argument: output), overwrites: overwrite)
        try output.requireFree(for: given)
        let source = try CorpusSource(paths: input.map { try FilePath(argument: $0) }, output: output)
        let work = CorpusTokenizer(source: source, output: output, validationFraction: valFraction)
        let summary = try work.run(tokenizer: given, trainer: BPETrainer(vocabularySize: vocabSize))
        summary.warnings.forEach(ConsoleReporter().warning)
        try StandardStreams.print(report(summary, source, ContinuousClock.now - start).joined(separator: "\n"))
    }

    private func report(_ summary: CorpusTokenizer.Summary, _ source: CorpusSource, _ time: Duration) -> [String] {
        let tokens = summary.trainTokens + summary.validationTokens
        let size = summary.tokenizer.vocabularySize
        let short = size < vocabSize ? ", not \(vocabSize): no pair of tokens occurs twice any more" : ""
        let remarks = [("left out", source.leftOut), ("look at", source.doubts)].flatMap { title, remarks in
            remarks.map { "\("\(title)    ".prefix(12))\($0.count) \($0.kind), such as \($0.example.shown)" }
        }
        let shards = [("train", summary.trainPaths), ("val", summary.validationPaths)].filter { !$0.1.isEmpty }
        let lines: [String?] = [
            "vocabulary  \(size) tokens" + (tokenizer == nil ? short : " (given)"),
            "tokens      \(summary.trainTokens) train, \(summary.validationTokens) validation, "
                + "\(fixed(Double(source.byteCount) / Double(tokens), 2)) bytes a token",
            summary.marksInText > 0
                ? "marks       \(summary.marksInText) times \(Tokenizer.endOfText) in the text, taken as that token"
                : nil,
            summary.validationTokens == 0 && valFraction > 0
                ? "validation  none: the text is too short to divide" : nil,
            summary.replacedFiles > 0
                ? "replaced    \(summary.replacedFiles) files of the corpus that was there" : nil,
            "time        \(fixed(time / .seconds(1), 2)) s",
            "shards      " + shards.map { "\(output)/\($0)_*.bin (\($1.count))" }.joined(separator: ", "),
        ]
        return ["documents   \(source.documents.count), \(source.byteCount) bytes"] + remarks + lines.compactMap { $0 }
    }
}
