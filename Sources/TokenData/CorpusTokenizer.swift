import Glibc

/// Turns a corpus into a tokenizer and token shards, piece by piece and on several cores.
public struct CorpusTokenizer: Sendable {
    /// What it is doing, for a progress display.
    public enum Phase: String, Sendable { case counting, merging, encoding }

    /// What it made.
    public struct Summary: Sendable {
        /// The tokenizer that was trained or given.
        public let tokenizer: Tokenizer
        /// Tokens in each set, the token before each document included.
        public let trainTokens: Int, validationTokens: Int
        /// The shards.
        public let trainPaths: [String], validationPaths: [String]
    }

    /// The documents.
    public let source: CorpusSource
    /// An existing directory for `tokenizer.json` and the shards.
    public let outputDirectory: String
    /// The share of the text that becomes validation data: 0 ..< 1.
    public let validationFraction: Double
    /// Threads that count and encode.
    public let threads: Int

    /// - Throws: exit code 64 for a fraction outside 0 ..< 1.
    public init(
        source: CorpusSource, outputDirectory: String, validationFraction: Double, threads: Int = allowedCoreCount()
    ) throws(TokenDataError) {
        guard validationFraction >= 0, validationFraction < 1 else {
            throw TokenDataError(
                .usage,
                "validation fraction \(validationFraction) is out of range: it must be 0 or more and less than 1")
        }
        self.source = source
        self.outputDirectory = outputDirectory
        self.validationFraction = validationFraction
        self.threads = threads
    }

    /// Trains `trainer` on the training part, unless `tokenizer` is given, encodes everything and publishes the files.
    ///
    /// All files are complete and durable under hidden names before the first appears; shards and tokenizer of an
    /// earlier run give way then, and `tokenizer.json` comes last, so a directory that has it is whole.
    ///
    /// - Parameter progress: told the phase and how far it is, from 0 to 1.
    /// - Throws: exit codes 65 (text), 66 (input), 73 and 74 (output), 81 (another process writes there).
    public func run(
        tokenizer given: Tokenizer?, trainer: BPETrainer, progress: (Phase, Double) -> Void = { _, _ in }
    ) throws(TokenDataError) -> Summary {
        let lock = try SystemFile.lock(directory: outputDirectory)
        defer { withExtendedLifetime(lock) {} }
        try removePartialOutput()
        let segments = try CorpusSplit.segments(source.documents, fraction: validationFraction)
        let tokenizer: Tokenizer
        if let given {
            tokenizer = given
        } else {
            tokenizer = try train(trainer, segments.filter { !$0.isValidation }, progress)
        }
        guard let endOfText = tokenizer.endOfTextID else {
            throw TokenDataError(
                .badInput,
                "the tokenizer has no token \(Tokenizer.endOfText), which stands before each document; "
                    + "give another one or train one")
        }
        let json = try pendingFile("tokenizer.json", tokenizer.tokenizerJSON())
        defer { unlink(json) }
        let train = TokenShardWriter(
            directory: outputDirectory, prefix: "train", vocabularySize: tokenizer.vocabularySize)
        let validation = TokenShardWriter(
            directory: outputDirectory, prefix: "val", vocabularySize: tokenizer.vocabularySize)
        try encode(tokenizer, endOfText, segments, train, validation, progress)
        try train.finish()
        try validation.finish()

        try removeOldOutput()
        let trainPaths = try train.publish()
        let validationPaths = try validation.publish()
        try SystemFile.rename(json, to: "\(outputDirectory)/tokenizer.json")
        try SystemFile.syncDirectory(outputDirectory)
        return Summary(
            tokenizer: tokenizer, trainTokens: train.tokenCount, validationTokens: validation.tokenCount,
            trainPaths: trainPaths, validationPaths: validationPaths)
    }

    /// Bytes that are read at once, shared by the threads.
    private var batchLength: Int { 4 * threads * CorpusReader.pieceLength }

    /// Validation text does not train the tokenizer.
    private func train(
        _ trainer: BPETrainer, _ segments: [CorpusSegment], _ progress: (Phase, Double) -> Void
    ) throws(TokenDataError) -> Tokenizer {
        let total = Double(segments.reduce(0) { $0 + $1.range.count })
        var reader = CorpusReader(source.documents, segments)
        let tables = Pool { WordCounts() }
        var done = 0
        while true {
            let pieces = try reader.nextPieces(byteCount: batchLength)
            if pieces.isEmpty { break }
            _ = parallelMap(pieces.count, threads: threads) { index in
                let bytes = pieces[index].bytes
                tables.with { $0.add(bytes.span) }
            }
            done += pieces.reduce(0) { $0 + $1.bytes.count }
            progress(.counting, Double(done) / total)
        }
        var words = WordCounts()
        for table in tables.drain() { words.merge(table) }
        return try trainer.train(words) { progress(.merging, Double($0) / Double(trainer.vocabularySize)) }
    }

    private func encode(
        _ tokenizer: Tokenizer, _ endOfText: Int32, _ segments: [CorpusSegment], _ train: TokenShardWriter,
        _ validation: TokenShardWriter, _ progress: (Phase, Double) -> Void
    ) throws(TokenDataError) {
        let encoders = Pool { TokenEncoder(tokenizer) }
        let canCut = TokenEncoder(tokenizer).canCutText
        var reader = CorpusReader(source.documents, segments, canCut: canCut)
        let total = Double(source.byteCount)
        var done = 0
        while true {
            let pieces = try reader.nextPieces(byteCount: batchLength)
            if pieces.isEmpty { break }
            let encoded = parallelMap(pieces.count, threads: threads) { index in
                let bytes = pieces[index].bytes
                var ids: [Int32] = pieces[index].startsDocument ? [endOfText] : []
                ids.reserveCapacity(bytes.count / 3 + 16)
                encoders.with { $0.encode(bytes.span, into: &ids) }
                return ids
            }
            for (piece, ids) in zip(pieces, encoded) { try (piece.isValidation ? validation : train).append(ids.span) }
            done += pieces.reduce(0) { $0 + $1.bytes.count }
            progress(.encoding, Double(done) / total)
        }
    }

    private func pendingFile(_ name: String, _ contents: [UInt8]) throws(TokenDataError) -> String {
        let path = "\(outputDirectory)/.\(name).partial"
        let file = try SystemFile(creating: path)
        do throws(TokenDataError) {
            try file.write(contents)
            try file.sync()
        } catch {
            unlink(path)
            throw error
        }
        return path
    }

    /// Removes `tokenizer.json` first: without it the directory does not count as whole.
    private func removeOldOutput() throws(TokenDataError) {
        let shards = try SystemFile.names(in: outputDirectory).filter { isShardName($0[...]) }
        for name in ["tokenizer.json"] + shards {
            guard unlink("\(outputDirectory)/\(name)") == 0 || errno == ENOENT else {
                throw TokenDataError(
                    .writeFailed, "cannot replace '\(outputDirectory)/\(name)': \(SystemFile.lastError)")
            }
        }
    }

    /// Removes what a run that was killed has left.
    private func removePartialOutput() throws(TokenDataError) {
        for name in try SystemFile.names(in: outputDirectory)
        where name.hasPrefix(".") && name.hasSuffix(".partial") && isShardName(name.dropFirst().dropLast(8)) {
            unlink("\(outputDirectory)/\(name)")
        }
    }

    /// Whether a name is `train_` or `val_`, digits, `.bin`.
    private func isShardName(_ name: Substring) -> Bool {
        guard let prefix = ["train_", "val_"].first(where: { name.hasPrefix($0) }), name.hasSuffix(".bin") else {
            return false
        }
        let digits = name.dropFirst(prefix.count).dropLast(4)
        return digits.count >= 6 && digits.allSatisfy { ("0"..."9").contains($0) }
    }
}
