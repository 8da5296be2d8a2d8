/// A regular file open for reading, by position. Never mapped into memory: a file that shrinks while it is read gives
/// an error, not a signal.
public final class InputFile: Sendable {
    /// The path as it was given.
    public let path: String
    /// Bytes at the time of opening.
    public let size: Int
    private let descriptor: Int32
    private let fileSystem: any FileSystem

    private init(path: String, size: Int, descriptor: Int32, fileSystem: any FileSystem) {
        self.path = path
        self.size = size
        self.descriptor = descriptor
        self.fileSystem = fileSystem
    }

    /// Opens a file; throws `.missing` when it cannot be opened and `.invalid` when it is not a regular file.
    ///
    /// - Parameter followLinks: whether a symbolic link may stand for the file.
    public convenience init(
        path: String, followLinks: Bool = false, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(CheckpointError) {
        let descriptor = try Self.open(path, followLinks, fileSystem)
        let status: FileStatus
        do {
            status = try fileSystem.status(descriptor)
        } catch {
            try? fileSystem.close(descriptor)
            throw CheckpointError(.missing, "\(error)")
        }
        self.init(path: path, size: status.size, descriptor: descriptor, fileSystem: fileSystem)
        guard status.kind == .file else {
            throw CheckpointError(.invalid, "\(path) is \(status.kind.rawValue), expected a file")
        }
    }

    private static func open(
        _ path: String, _ followLinks: Bool, _ fileSystem: any FileSystem
    ) throws(CheckpointError) -> Int32 {
        let isLink: Bool
        do {
            isLink = try !followLinks && fileSystem.status(path: path).kind == .symbolicLink
            if !isLink { return try fileSystem.open(path, .read(followLinks: followLinks)) }
        } catch {
            throw CheckpointError(.missing, "\(error)")
        }
        throw CheckpointError(.invalid, "\(path) is a symbolic link, expected a file; links are not followed")
    }

    deinit { try? fileSystem.close(descriptor) }

    /// Fills `bytes`, or the given part of it, from `offset`; throws `.invalid` when the file ends before that.
    public func read(
        into bytes: inout MutableRawSpan, part: Range<Int>? = nil, at offset: Int
    ) throws(CheckpointError) {
        let part = part ?? 0..<bytes.byteCount
        var done = part.lowerBound
        while done < part.upperBound {
            let position = offset + done - part.lowerBound
            let count: Int
            do {
                count = try fileSystem.read(descriptor, into: &bytes, part: done..<part.upperBound, at: position)
            } catch {
                throw CheckpointError(.missing, "cannot read \(path): \(systemErrorText(error.code))")
            }
            guard count > 0 else {
                throw CheckpointError(
                    .invalid,
                    "\(path) ends at byte \(position), expected at least \(offset + part.count) bytes; "
                        + "it was cut short or changed while it was read")
            }
            done += count
        }
    }

    /// `count` bytes from `offset`.
    ///
    /// - Precondition: the caller has bounded `count`; memory for it is taken at once.
    public func bytes(_ count: Int, at offset: Int) throws(CheckpointError) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var span = result.mutableSpan
        var raw = span.mutableBytes
        try read(into: &raw, at: offset)
        return result
    }

    /// The whole file, when it is no longer than `limit` bytes.
    public func contents(limit: Int) throws(CheckpointError) -> [UInt8] {
        guard size <= limit else {
            throw CheckpointError(.invalid, "\(path) has \(size) bytes, expected at most \(limit)")
        }
        return try bytes(size, at: 0)
    }

    /// The SHA-256 of the whole file, as 64 hexadecimal digits.
    public func sha256() throws(CheckpointError) -> String {
        let digest = try SHA256()
        var buffer = [UInt8](repeating: 0, count: min(max(size, 1), 1 << 20))
        var offset = 0
        while offset < size {
            let count = min(buffer.count, size - offset)
            var span = buffer.mutableSpan
            var raw = span.mutableBytes
            try read(into: &raw, part: 0..<count, at: offset)
            try digest.update(buffer.span.bytes.extracting(0..<count))
            offset += count
        }
        return try digest.value()
    }
}
