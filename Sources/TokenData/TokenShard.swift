import Basics
import Glibc
import Synchronization

/// One token file, whose header has been checked. It is open while it is one of those used last.
///
/// Read by position, 2 or 4 bytes a token: a sequence costs one system call of a few hundred bytes, out of the page
/// cache. Not mapped, so that a file that shrinks during a run is an error instead of a SIGBUS.
package final class TokenShard: Sendable {
    /// The file's path, as given.
    package let path: FilePath
    /// How many tokens it holds.
    package let tokenCount: Int
    /// Bytes a token: 2 or 4.
    package let tokenWidth: Int
    /// The file's size in bytes.
    package let byteCount: Int
    /// Which tokenizer made it, where its header says so.
    package let tokenizer: TokenizerIdentity?
    private let modified: Int
    private let open: OpenShards

    /// Checks a file's header against its size.
    ///
    /// - Throws: exit code 66 where it cannot be opened; 65 where it is not a token file or its size is not what its
    ///   header says.
    package convenience init(path: FilePath) throws { try self.init(path: path, open: OpenShards()) }

    init(path: FilePath, open: OpenShards) throws {
        func bad(_ reason: String) -> ExitError { ExitError(.badInput, "shard '\(path.shown)' \(reason)") }
        let file = try InputFile(path)
        let header = try file.availableBytes(ShardFormat.headerSize, at: 0)
        if InputFile.isLFSPointer(header) { throw bad("cannot be used: \(InputFile.lfsAdvice)") }
        guard header.count == ShardFormat.headerSize else {
            throw bad(
                "has \(file.size) bytes, fewer than its \(ShardFormat.headerSize)-byte header; "
                    + "make it again with swiftlet tokenize")
        }
        let magic = ShardFormat.field(header, 0)
        let version = ShardFormat.field(header, 1)
        let kinds = [ShardFormat.narrow, ShardFormat.wide]
        guard let kind = kinds.first(where: { $0.magic == magic }) else {
            let swapped = Int(Int32(truncatingIfNeeded: magic).byteSwapped)
            if kinds.contains(where: { $0.magic == swapped }) {
                throw bad("is big-endian (magic \(swapped)); token files are little-endian")
            }
            throw bad(
                "starts with \(magic), not with the magic number of a token file (\(ShardFormat.narrow.magic) or "
                    + "\(ShardFormat.wide.magic)); make it with swiftlet tokenize")
        }
        guard version == kind.version else {
            throw bad("has version \(version); with magic \(kind.magic) it must be \(kind.version)")
        }
        let count = ShardFormat.field(header, 2)
        guard count >= 0 else { throw bad("says that it holds \(count) tokens; its header is broken") }
        let expected = ShardFormat.headerSize + count * kind.width
        guard file.size == expected else {
            throw bad(
                "has \(file.size) bytes, but its header says \(count) tokens, which is \(expected) bytes; "
                    + "copy or make it again")
        }
        tokenizer = try ShardFormat.tokenizer(header, bad)
        self.path = path
        self.open = open
        tokenCount = count
        tokenWidth = kind.width
        byteCount = file.size
        modified = file.status.modified
        _ = try open.file(of: self) { file }
    }

    /// The open file. Its number is not compared: some file systems of servers give a file another one each time.
    private func file() throws -> InputFile {
        try open.file(of: self) {
            let file = try InputFile(path)
            guard file.status.modified == modified, file.size == byteCount else {
                throw ExitError(
                    .badInput,
                    "shard '\(path.shown)' was changed since the start (\(byteCount) bytes then, \(file.size) now); "
                        + "restore it and run again")
            }
            return file
        }
    }

    /// Reads `range.count` raw bytes, tokens from `start` on, into `range` of a buffer.
    private func read(_ buffer: inout MutableRawSpan, _ range: Range<Int>, from start: Int) throws {
        let offset = ShardFormat.headerSize + start * tokenWidth
        let got = try file().readAvailable(into: &buffer, part: range, at: offset)
        guard got == range.count else {
            throw ExitError(
                .badInput,
                "shard '\(path.shown)' has become shorter: it had \(byteCount) bytes when it was opened and ends at "
                    + "byte \(offset + got) now; restore it and run again")
        }
    }

    /// Copies tokens from `start` on into `range` of `tokens`.
    ///
    /// - Throws: exit code 65 where the file has changed since it was opened.
    package func copyTokens(from start: Int, into tokens: inout MutableSpan<Int32>, _ range: Range<Int>) throws {
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
    func bytes(at offset: Int, count: Int) throws -> [UInt8] { try file().bytes(count, at: offset) }
}

/// The shards of a stream that are open: the ones used last, so that any number of shards gets along with any
/// `ulimit -n`.
final class OpenShards: Sendable {
    private let files = Mutex<[(shard: ObjectIdentifier, file: InputFile)]>([])
    /// A part of what the process may have open: MPI wants files too, and a run has two streams.
    private let limit = max(2, min(128, sysconf(Int32(_SC_OPEN_MAX)) / 8))

    /// A shard's open file, opened by `open` where it is not one of those used last.
    func file(of shard: TokenShard, open: () throws -> InputFile) throws -> InputFile {
        let key = ObjectIdentifier(shard)
        let known = files.withLock { files -> InputFile? in
            guard let place = files.lastIndex(where: { $0.shard == key }) else { return nil }
            if place < files.count - 1 { files.append(files.remove(at: place)) }
            return files.last?.file
        }
        if let known { return known }
        let file = try open()
        files.withLock { files in
            if files.count >= limit { files.removeFirst() }
            files.append((key, file))
        }
        return file
    }
}
