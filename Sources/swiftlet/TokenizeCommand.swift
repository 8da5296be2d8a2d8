import ArgumentParser
import Basics
import Glibc
import TokenData

/// `swiftlet tokenize`: text in, tokenizer and token shards out.
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Turn text into a tokenizer and token shards.",
        discussion: """
            Trains a byte-level BPE tokenizer on the text (or takes the one of --tokenizer), and writes \
            tokenizer.json, train_000000.bin, … and val_000000.bin, … in llm.c's format. Each file is a document, \
            with <|endoftext|> before it. Hidden files, and files with NUL bytes, are left out.
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

    func validate() throws {
        if input.isEmpty { throw ValidationError("--input needs at least one file, directory or -") }
        if !(0..<1).contains(valFraction) {
            throw ValidationError("--val-fraction is \(valFraction); it must be 0 or more and less than 1")
        }
        do { _ = try BPETrainer(vocabularySize: vocabSize) } catch { throw ValidationError(error.description) }
    }

    func run() throws {
        let clock = ContinuousClock()
        let start = clock.now
        let (summary, source) = try tokenize()
        try StandardStreams.print(report(summary, source, clock.now - start).joined(separator: "\n"))
    }

    private func tokenize() throws(TokenDataError) -> (CorpusTokenizer.Summary, CorpusSource) {
        let given = try tokenizer.map { path throws(TokenDataError) in try Tokenizer(path: path) }
        try makeDirectory(output)
        let source = try CorpusSource(paths: input, outputDirectory: output)
        let work = try CorpusTokenizer(
            source: source, outputDirectory: output, validationFraction: valFraction)
        let isLive = StandardStreams.canShowProgress
        let summary = try work.run(tokenizer: given, trainer: BPETrainer(vocabularySize: vocabSize)) {
            phase, fraction in
            if isLive { StandardStreams.showProgress("\(phase.rawValue) \(Int(fraction * 100)) %") }
        }
        return (summary, source)
    }

    private func report(
        _ summary: CorpusTokenizer.Summary, _ source: CorpusSource, _ time: Duration
    ) -> [String] {
        let tokens = summary.trainTokens + summary.validationTokens
        let bytesPerToken = Double(source.byteCount) / Double(tokens)
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
        var lines = [String]()
        lines.append("documents   \(source.documents.count), \(source.byteCount) bytes")
        if !source.binaryPaths.isEmpty {
            let names = source.binaryPaths.prefix(3).joined(separator: ", ")
            lines.append(
                "left out    \(source.binaryPaths.count) binary: \(names)\(source.binaryPaths.count > 3 ? ", …" : "")")
        }
        if source.emptyCount + source.repeatedCount > 0 {
            lines.append("left out    \(source.emptyCount) empty, \(source.repeatedCount) given twice")
        }
        if source.unreachableCount > 0 {
            lines.append("left out    \(source.unreachableCount) broken links or names that are not UTF-8")
        }
        let size = summary.tokenizer.vocabularySize
        if tokenizer == nil, size < vocabSize {
            lines.append("vocabulary  \(size) tokens, not \(vocabSize): no pair of tokens occurs twice any more")
        } else {
            lines.append("vocabulary  \(size) tokens\(tokenizer == nil ? "" : " (given)")")
        }
        lines.append(
            "tokens      \(summary.trainTokens) train, \(summary.validationTokens) validation, "
                + "\(rounded(bytesPerToken, 2)) bytes a token")
        if summary.validationTokens == 0, valFraction > 0 {
            lines.append("validation  none: the text is too short to divide")
        }
        lines.append("time        \(rounded(seconds, 2)) s")
        lines.append(
            "shards      \(output)/train_*.bin (\(summary.trainPaths.count))"
                + (summary.validationPaths.isEmpty ? "" : ", \(output)/val_*.bin (\(summary.validationPaths.count))"))
        return lines
    }

    private func rounded(_ value: Double, _ places: Int) -> String {
        let scale = places == 2 ? 100.0 : 10.0
        let number = Int((value * scale).rounded())
        let fraction = String(number % Int(scale))
        let zeros = String(repeating: "0", count: places - fraction.count)
        return "\(number / Int(scale)).\(zeros)\(fraction)"
    }

    /// Makes a directory with those above it.
    private func makeDirectory(_ path: String) throws(TokenDataError) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += part
            var status = stat()
            if mkdir(prefix, 0o755) != 0 {
                let reason = String(cString: strerror(errno))
                guard stat(prefix, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                    throw TokenDataError(.cannotCreate, "cannot create directory '\(prefix)': \(reason)")
                }
            }
            prefix += "/"
        }
        guard access(path, W_OK | X_OK) == 0 else {
            throw TokenDataError(
                .cannotCreate, "cannot write to directory '\(path)': \(String(cString: strerror(errno)))")
        }
    }
}
