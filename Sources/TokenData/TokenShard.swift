/// One token file, open for reading.
///
/// Read with `pread`, 2 bytes a token: a sequence costs one system call of a few hundred bytes, out of the page cache.
/// Not mapped, so that a file that shrinks during a run is an error instead of a SIGBUS.
public final class TokenShard: Sendable {
    /// The file's path, as given.
    public let path: String
    /// How many tokens it holds.
    public let tokenCount: Int
    /// Bytes a token: 2 or 4.
    public let tokenWidth: Int
    /// The file's size in bytes.
    public let byteCount: Int
    private let file: SystemFile

    /// Opens a file and checks its header against its size.
    ///
    /// - Throws: exit code 66 where it cannot be opened; 65 where it is not a token file or its size is not what its
    ///   header says.
    public init(path: String) throws(TokenDataError) {
        func bad(_ reason: String) -> TokenDataError { TokenDataError(.badInput, "shard '\(path)' \(reason)") }
        self.path = path
        file = try SystemFile(reading: path)
        byteCount = try file.size()
        let header = try file.bytes(at: 0, count: ShardFormat.headerSize)
        guard header.count == ShardFormat.headerSize else {
            throw bad(
                "has \(byteCount) bytes, fewer than its \(ShardFormat.headerSize)-byte header; "
                    + "make it again with swiftlet tokenize")
        }
        let fields = (0..<3).map { field in
            Int32(bitPattern: (0..<4).reduce(0) { $0 | UInt32(header[4 * field + $1]) << (8 * UInt32($1)) })
        }
        let kinds = [ShardFormat.narrow, ShardFormat.wide]
        guard let kind = kinds.first(where: { $0.magic == fields[0] }) else {
            if kinds.contains(where: { $0.magic == fields[0].byteSwapped }) {
                throw bad("is big-endian (magic \(fields[0].byteSwapped)); token files are little-endian")
            }
            throw bad(
                "starts with \(fields[0]), not with the magic number of a token file (\(ShardFormat.narrow.magic) or "
                    + "\(ShardFormat.wide.magic)); make it with swiftlet tokenize")
        }
        guard fields[1] == kind.version else {
            throw bad("has version \(fields[1]); with magic \(kind.magic) it must be \(kind.version)")
        }
        tokenCount = Int(fields[2])
        tokenWidth = kind.width
        guard tokenCount >= 0 else { throw bad("says that it holds \(tokenCount) tokens; its header is broken") }
        let expected = ShardFormat.headerSize + tokenCount * tokenWidth
        guard byteCount == expected else {
            throw bad(
                "has \(byteCount) bytes, but its header says \(tokenCount) tokens, which is \(expected) bytes; "
                    + "copy or make it again")
        }
    }

    /// Reads `range.count` raw bytes, tokens from `start` on, into `range` of a buffer.
    func read(_ buffer: inout MutableRawSpan, _ range: Range<Int>, from start: Int) throws(TokenDataError) {
        let offset = ShardFormat.headerSize + start * tokenWidth
        let got = try file.read(into: &buffer, range, at: offset)
        guard got == range.count else {
            throw TokenDataError(
                .badInput,
                "shard '\(path)' has become shorter: it had \(byteCount) bytes when it was opened and ends at "
                    + "byte \(offset + got) now; restore it and run again")
        }
    }

    /// Copies tokens from `start` on into `range` of `tokens`.
    ///
    /// - Throws: exit code 65 where the file has become shorter since it was opened.
    public func copyTokens(
        from start: Int, into tokens: inout MutableSpan<Int32>, _ range: Range<Int>
    ) throws(TokenDataError) {
        precondition(start >= 0 && start + range.count <= tokenCount)
        var raw = tokens.mutableBytes
        if tokenWidth == 4 {
            return try read(&raw, 4 * range.lowerBound..<4 * range.upperBound, from: start)
        }
        // The narrow tokens land in the upper half of their room and are widened from the front.
        let middle = 4 * range.lowerBound + 2 * range.count
        try read(&raw, middle..<4 * range.upperBound, from: start)
        for index in 0..<range.count {
            let narrow = raw.unsafeLoad(fromByteOffset: middle + 2 * index, as: UInt16.self)
            raw.storeBytes(of: Int32(narrow), toByteOffset: 4 * (range.lowerBound + index), as: Int32.self)
        }
    }

    /// The bytes from `offset` on, for the content hash.
    func bytes(at offset: Int, count: Int) throws(TokenDataError) -> [UInt8] {
        try file.bytes(at: offset, count: count)
    }
}
