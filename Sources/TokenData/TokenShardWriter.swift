import Basics

/// Writes a stream of tokens as shards `train_000000.bin`, `train_000001.bin`, … in llm.c's format.
///
/// The files carry hidden temporary names until `publish` gives them their own, so that nothing half-written is ever
/// seen under a shard's name. Dropped without `publish`, the writer removes them.
package final class TokenShardWriter {
    /// Tokens that have been appended.
    package private(set) var tokenCount = 0
    /// Tokens in one file at most.
    package let shardTokenLimit: Int

    private let output: CorpusOutput
    private let prefix: String
    private let vocabularySize: Int
    private let tokenizer: TokenizerIdentity?
    private let width: Int
    private var file: OutputFile?
    private var tokensInShard = 0
    private var buffer: [UInt8] = []
    private var filled = 0
    /// Of the files that still have hidden names.
    private var names: [String] = []
    private static let bufferSize = 4 << 20

    /// - Parameters:
    ///   - directory: an existing directory.
    ///   - prefix: what the files' names start with: `train` or `val`.
    ///   - vocabularySize: fixes the width of a token: two bytes up to 65,536, else four.
    ///   - tokenizer: what made the ids, for the headers.
    ///   - shardTokenLimit: tokens in one file. llm.c's own readers want a file's bytes below 2 GiB.
    package init(
        directory: FilePath, prefix: String, vocabularySize: Int, tokenizer: TokenizerIdentity? = nil,
        shardTokenLimit: Int = 100_000_000, fileSystem: any FileSystem = LocalFileSystem()
    ) {
        precondition((1...Int(Int32.max)).contains(shardTokenLimit))
        output = CorpusOutput(path: directory, fileSystem: fileSystem)
        self.prefix = prefix
        self.vocabularySize = vocabularySize
        self.tokenizer = tokenizer
        self.shardTokenLimit = shardTokenLimit
        width = ShardFormat.width(vocabularySize: vocabularySize)
    }

    deinit { names.forEach(output.discard) }

    /// Appends tokens; each is 0 ..< vocabularySize.
    ///
    /// - Throws: exit code 73 where a file cannot be created, 74 where writing fails.
    package func append(_ tokens: Span<Int32>) throws {
        var start = 0
        while start < tokens.count {
            if file == nil { try openShard() }
            let room = min(shardTokenLimit - tokensInShard, (buffer.count - filled) / width)
            let count = min(tokens.count - start, room)
            store(tokens, start..<start + count)
            start += count
            tokensInShard += count
            tokenCount += count
            if buffer.count - filled < width { try flush() }
            if tokensInShard == shardTokenLimit { try finish() }
        }
    }

    private func store(_ tokens: Span<Int32>, _ range: Range<Int>) {
        var span = buffer.mutableSpan
        var raw = span.mutableBytes
        for index in range {
            let id = tokens[index]
            precondition(id >= 0 && id < vocabularySize)
            if width == 2 {
                raw.storeBytes(of: UInt16(truncatingIfNeeded: id), toByteOffset: filled, as: UInt16.self)
            } else {
                raw.storeBytes(of: id, toByteOffset: filled, as: Int32.self)
            }
            filled += width
        }
    }

    private func openShard() throws {
        let name = "\(prefix)_\(padded("\(names.count)", to: 6)).bin"
        let file = try OutputFile(creating: output.hidden(name), fileSystem: output.fileSystem)
        names.append(name)
        self.file = file
        tokensInShard = 0
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferSize) }
        let header = header(tokenCount: 0)
        try file.append(header.span.bytes)
    }

    private func header(tokenCount: Int) -> [UInt8] {
        ShardFormat.header(width: width, tokenCount: tokenCount, tokenizer: tokenizer)
    }

    private func flush() throws {
        let bytes = filled == buffer.count ? buffer : Array(buffer[..<filled])
        try file?.append(bytes.span.bytes)
        filled = 0
    }

    /// Completes the files and makes their contents durable, still under their temporary names.
    package func finish() throws {
        guard let file else { return }
        try flush()
        let header = header(tokenCount: tokensInShard)
        try file.write(header.span.bytes, at: 0)
        try file.synchronize()
        try file.close()
        self.file = nil
    }

    /// Gives the finished files their names and returns their paths; the caller syncs the directory.
    package func publish() throws -> [FilePath] {
        try finish()
        let paths = try names.map { try output.publish($0) }
        names = []
        return paths
    }
}
