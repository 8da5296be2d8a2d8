import Glibc

/// Writes a stream of tokens as shards `train_000000.bin`, `train_000001.bin`, … in llm.c's format.
///
/// The files carry hidden temporary names until `publish` gives them their own, so that nothing half-written is ever
/// seen under a shard's name. Dropped without `publish`, the writer removes them.
public final class TokenShardWriter {
    /// Tokens that have been appended.
    public private(set) var tokenCount = 0

    private let directory: String
    private let prefix: String
    private let vocabularySize: Int
    private let width: Int
    private let shardTokenLimit: Int
    private var file: SystemFile?
    private var tokensInShard = 0
    private var buffer: [UInt8] = []
    private var filled = 0
    private var temporaryPaths: [String] = []
    private static let bufferSize = 4 << 20

    /// - Parameters:
    ///   - directory: an existing directory.
    ///   - prefix: what the files' names start with: `train` or `val`.
    ///   - vocabularySize: fixes the width of a token: two bytes up to 65,536, else four.
    ///   - shardTokenLimit: tokens in one file.
    public init(
        directory: String, prefix: String, vocabularySize: Int, shardTokenLimit: Int = 100_000_000
    ) {
        precondition((1...Int(Int32.max)).contains(shardTokenLimit))
        self.directory = directory
        self.prefix = prefix
        self.vocabularySize = vocabularySize
        self.shardTokenLimit = shardTokenLimit
        width = ShardFormat.width(vocabularySize: vocabularySize)
    }

    deinit { for path in temporaryPaths { unlink(path) } }

    /// A shard's name.
    static func name(_ prefix: String, _ index: Int) -> String {
        let digits = String(index)
        return "\(prefix)_\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits).bin"
    }

    /// Appends tokens; each is 0 ..< vocabularySize.
    ///
    /// - Throws: exit code 73 where a file cannot be created, 74 where writing fails.
    public func append(_ tokens: Span<Int32>) throws(TokenDataError) {
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
            if tokensInShard == shardTokenLimit { try closeShard() }
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

    private func openShard() throws(TokenDataError) {
        let path = "\(directory)/.\(Self.name(prefix, temporaryPaths.count)).partial"
        let file = try SystemFile(creating: path)
        temporaryPaths.append(path)
        self.file = file
        tokensInShard = 0
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferSize) }
        try file.write(ShardFormat.header(width: width, tokenCount: 0))
    }

    private func flush() throws(TokenDataError) {
        try file?.write(filled == buffer.count ? buffer : Array(buffer[..<filled]))
        filled = 0
    }

    private func closeShard() throws(TokenDataError) {
        guard let file else { return }
        try flush()
        try file.write(ShardFormat.header(width: width, tokenCount: tokensInShard), at: 0)
        try file.sync()
        self.file = nil
    }

    /// Completes the files and makes their contents durable, still under their temporary names.
    public func finish() throws(TokenDataError) { try closeShard() }

    /// Gives the finished files their names and returns their paths; the caller syncs the directory.
    public func publish() throws(TokenDataError) -> [String] {
        try finish()
        var paths: [String] = []
        for (index, temporary) in temporaryPaths.enumerated() {
            let path = "\(directory)/\(Self.name(prefix, index))"
            try SystemFile.rename(temporary, to: path)
            paths.append(path)
        }
        temporaryPaths = []
        return paths
    }
}
