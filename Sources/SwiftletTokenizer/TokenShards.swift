internal import Basics
internal import TokenData

/// Token shards, one after the other, as one stream: what `--train-data` and `--val-data` name.
///
/// A shard is a file in llm.c's format: 256 numbers of four bytes, then the tokens, two bytes each up to 65,536 ids, else
/// four. Nothing but the headers is in memory.
public struct TokenShards: Sendable {
    private let stream: TokenStream

    /// Opens shards and checks their headers.
    /// - Parameter pattern: a path, or a pattern such as `data/train_*.bin`, in the order of the names.
    /// - Throws: exit code 66 where nothing matches, 65 for a file that is no shard.
    public init(_ pattern: String) throws(SwiftletError) {
        stream = try translated { try TokenStream(glob: FilePath(argument: pattern)) }
    }

    /// Tokens in all shards together.
    public var tokenCount: Int { stream.tokenCount }

    /// Reads tokens, in time that does not depend on where they stand.
    /// - Parameter range: places in the stream, from 0.
    /// - Precondition: the range is within `0..<tokenCount`.
    /// - Throws: exit code 65 or 66 for a shard that has changed or gone.
    public func tokens(_ range: Range<Int>) throws(SwiftletError) -> [Int32] {
        precondition(range.lowerBound >= 0 && range.upperBound <= tokenCount)
        return try translated {
            var tokens = [Int32](repeating: 0, count: range.count)
            var span = tokens.mutableSpan
            try stream.copyTokens(from: range.lowerBound, into: &span, 0..<range.count)
            return tokens
        }
    }
}

/// Writes token shards `PREFIX_000000.bin`, `PREFIX_000001.bin`, … Nothing is seen under these names before `finish`;
/// dropped without it, the writer leaves nothing behind.
public final class TokenShardWriter {
    private let writer: TokenData.TokenShardWriter
    private let folder: FilePath
    private let vocabularySize: Int

    /// - Parameters:
    ///   - folder: made if need be. For ids that are text, `Tokenizer.write(to:)` belongs there too.
    ///   - prefix: what the files' names start with, such as `train`.
    ///   - tokenizer: what made the ids, for the headers.
    ///   - tokensPerShard: in one file at most, 1 to 2,147,483,647.
    /// - Throws: exit code 64 for a prefix or a count that cannot be, 73 for a folder that cannot be made.
    public init(
        folder: String, prefix: String, tokenizer: Tokenizer, tokensPerShard: Int = 100_000_000
    ) throws(SwiftletError) {
        guard !prefix.isEmpty, !prefix.hasPrefix("."), !prefix.contains("/") else {
            throw SwiftletError("the prefix of shards is '\(prefix)', expected a part of a file's name, without '/'")
        }
        guard (1...Int(Int32.max)).contains(tokensPerShard) else {
            throw SwiftletError("tokensPerShard is \(tokensPerShard), expected 1 to \(Int32.max)")
        }
        let path = try translated {
            let path = try FilePath(argument: folder)
            try LocalFileSystem().makeDirectories(path)
            return path
        }
        let identity = try translated { try tokenizer.tables.identity() }
        self.folder = path
        vocabularySize = tokenizer.vocabularySize
        writer = TokenData.TokenShardWriter(
            directory: path, prefix: prefix, vocabularySize: tokenizer.vocabularySize,
            tokenizer: identity,
            shardTokenLimit: tokensPerShard)
    }

    /// Tokens that have been appended.
    public var tokenCount: Int { writer.tokenCount }

    /// Appends tokens.
    /// - Throws: exit code 64 for an id that the tokenizer lacks, 73 and 74 where writing fails.
    public func append(_ ids: [Int32]) throws(SwiftletError) {
        if let bad = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) {
            throw SwiftletError("token id \(bad) is not of this tokenizer, expected 0 to \(vocabularySize - 1)")
        }
        try translated { try writer.append(ids.span) }
    }

    /// Makes the files durable, gives them their names and returns their paths. The writer is used up.
    /// - Throws: exit codes 73 and 74 where writing fails.
    public func finish() throws(SwiftletError) -> [String] {
        try translated {
            let paths = try writer.publish()
            _ = try LocalFileSystem().synchronizeDirectory(folder)
            return paths.map { CommandLineText.decoding($0.bytes) }
        }
    }
}
