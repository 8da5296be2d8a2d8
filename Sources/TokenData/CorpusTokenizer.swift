import Basics

/// Turns a corpus into a tokenizer and token shards, piece by piece and on several cores.
package struct CorpusTokenizer: Sendable {
    /// What it is doing, for a progress display.
    package enum Phase: String, Sendable { case counting, merging, encoding }

    /// What it made.
    package struct Summary: Sendable {
        /// The tokenizer that was trained or given.
        package let tokenizer: Tokenizer
        /// Tokens in each set, the token before each document included.
        package let trainTokens: Int, validationTokens: Int
        /// How often the text itself holds `<|endoftext|>`.
        package let marksInText: Int
        /// Files of an earlier corpus that gave way.
        package let replacedFiles: Int
        /// The shards.
        package let trainPaths: [FilePath], validationPaths: [FilePath]
        /// What the user should know of: one line each.
        package let warnings: [String]
    }

    private let source: CorpusSource
    private let output: CorpusOutput
    private let validationFraction: Double
    private let threads: Int

    /// - Parameter validationFraction: the share of the text that becomes validation data, 0 ..< 1.
    package init(
        source: CorpusSource, output: CorpusOutput, validationFraction: Double, threads: Int = Machine().usableThreads
    ) {
        precondition((0..<1).contains(validationFraction))
        self.source = source
        self.output = output
        self.validationFraction = validationFraction
        self.threads = threads
    }

    /// Trains `trainer` on the training part, unless `tokenizer` is given, encodes everything and publishes the files.
    ///
    /// All files are complete and durable under hidden names before the first appears; shards and tokenizer of an
    /// earlier run give way then, and `tokenizer.json` comes last, so a directory that has it is whole.
    ///
    /// - Throws: exit codes 65 (text), 66 (input), 73 and 74 (output), 81 (another process writes there).
    package func run(
        tokenizer given: Tokenizer?, trainer: BPETrainer
    ) throws -> Summary {
        try output.make()
        let lock = try DirectoryLock.take(in: output.path, fileSystem: output.fileSystem)
        defer { withExtendedLifetime(lock) {} }
        try output.requireFree(for: given)
        try output.removePartialFiles()
        let split = try CorpusSplit(source.documents, fraction: validationFraction)
        let tokenizer = try given ?? train(trainer, split.segments.filter { !$0.isValidation })
        guard let endOfText = tokenizer.endOfTextID else {
            throw ExitError(
                .badInput,
                "the tokenizer has no token \(Tokenizer.endOfText), which stands before each document; "
                    + "give another one or train one")
        }
        try output.write("tokenizer.json", tokenizer.tokenizerJSON())
        defer { output.discard("tokenizer.json") }
        let identity = try tokenizer.identity()
        let writers = ["train", "val"].map {
            TokenShardWriter(
                directory: output.path, prefix: $0, vocabularySize: tokenizer.vocabularySize, tokenizer: identity,
                fileSystem: output.fileSystem)
        }
        let marks = try encode(tokenizer, endOfText, split.segments, to: writers[0], validation: writers[1])
        for writer in writers { try writer.finish() }

        let replaced = try output.removeOldCorpus()
        let paths = try writers.map { try $0.publish() }
        try output.publish("tokenizer.json")
        let unsynchronized = try output.synchronize()
        return Summary(
            tokenizer: tokenizer, trainTokens: writers[0].tokenCount, validationTokens: writers[1].tokenCount,
            marksInText: marks, replacedFiles: replaced, trainPaths: paths[0], validationPaths: paths[1],
            warnings: [lock.warning, unsynchronized].compactMap { $0 }
                + warnings(split, validationTokens: writers[1].tokenCount))
    }

    private func warnings(_ split: CorpusSplit, validationTokens: Int) -> [String] {
        guard validationFraction > 0 else { return [] }
        var lines: [String] = []
        let kinds = split.kindsWithoutTraining
        if !kinds.isEmpty {
            lines.append(
                "all of these is validation text, so nothing like it is learned: \(kinds.joined(separator: ", ")); "
                    + "give more of it, or a smaller --val-fraction")
        }
        if validationTokens <= Self.fewTokens {
            lines.append(
                "the validation text has \(validationTokens) tokens, not one sequence of \(Self.fewTokens): its loss "
                    + "says little; give more text or a larger --val-fraction")
        }
        return lines
    }

    /// The usual context: with fewer tokens there is nothing to evaluate.
    private static let fewTokens = 256

    /// Reads segments piece by piece, works on each on some thread, and hands the results on in their order.
    private func work<Result: Sendable>(
        _ phase: Phase, through segments: [CorpusSegment], canCut: Bool = true,
        _ body: @escaping @Sendable (Span<UInt8>) -> Result, then use: (TextPiece, Result) throws -> Void
    ) throws {
        let total = segments.reduce(0) { $0 + $1.range.count }
        var reader = CorpusReader(source.documents, segments, canCut: canCut)
        try WorkProgress.during(phase.rawValue, of: total, .bytesOfText) {
            while true {
                // Each thread has about four to do.
                let pieces = try reader.nextPieces(byteCount: 4 * threads * CorpusReader.pieceLength)
                if pieces.isEmpty { return }
                let results = parallelMap(pieces.count, threads: threads) { index in
                    let bytes = pieces[index].bytes
                    return body(bytes.span)
                }
                for (piece, result) in zip(pieces, results) { try use(piece, result) }
                WorkProgress.advance(pieces.reduce(0) { $0 + $1.bytes.count }, .bytesOfText)
            }
        }
    }

    /// Validation text does not train the tokenizer.
    private func train(
        _ trainer: BPETrainer, _ segments: [CorpusSegment]
    ) throws -> Tokenizer {
        let tables = Pool { WordCounts() }
        let marks = AddedTokenMatcher(BPETrainer.addedTokens)
        try work(.counting, through: segments) { text in
            tables.with { $0.add(text, between: marks) }
        } then: { _, _ in
        }
        var words = WordCounts()
        for table in tables.elements { words.merge(table) }
        return try WorkProgress.during(Phase.merging.rawValue, of: trainer.vocabularySize, .merges) {
            var done = 0
            return try trainer.train(words) {
                WorkProgress.advance($0 - done, .merges)
                done = $0
            }
        }
    }

    /// Encodes everything; returns how often the text itself holds the end-of-text token.
    private func encode(
        _ tokenizer: Tokenizer, _ endOfText: Int32, _ segments: [CorpusSegment], to train: TokenShardWriter,
        validation: TokenShardWriter
    ) throws -> Int {
        let encoders = Pool { TokenEncoder(tokenizer) }
        var marks = 0
        try work(.encoding, through: segments, canCut: TokenEncoder(tokenizer).canCutText) { text in
            var ids: [Int32] = []
            ids.reserveCapacity(text.count / 3 + 16)
            encoders.with { $0.encode(text, into: &ids) }
            return ids
        } then: { piece, ids in
            let writer = piece.isValidation ? validation : train
            // A text that begins with the mark has it already.
            if piece.startsDocument, ids.first != endOfText {
                let mark = [endOfText]
                try writer.append(mark.span)
            }
            try writer.append(ids.span)
            marks += ids.count { $0 == endOfText }
        }
        return marks
    }
}
