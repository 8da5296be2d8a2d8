/// A regular file open for reading, by position. Never mapped into memory: a file that shrinks while it is read gives
/// an error, not a signal. A pipe or device is refused at once.
package final class InputFile: Sendable {
    /// The path as it was given.
    package var path: FilePath { file.path }
    /// Bytes at the time of opening.
    package var size: Int { status.size }
    /// What it was at the time of opening.
    package let status: FileStatus
    private let file: OpenFile
    private let fileSystem: any FileSystem

    /// Takes an open file over and closes it with the object.
    init(_ file: OpenFile, _ status: FileStatus, _ fileSystem: any FileSystem) {
        self.file = file
        self.status = status
        self.fileSystem = fileSystem
    }

    /// Opens a file; throws 66 when it cannot be opened and 65 when it is not a regular file.
    ///
    /// - Parameter followLinks: whether a symbolic link may stand for the file.
    package convenience init(
        _ path: FilePath, followLinks: Bool = true, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(FileSystemError) {
        if !followLinks, try fileSystem.status(path, followLinks: false).kind == .symbolicLink {
            throw FileSystemError(path, problem: "is a symbolic link, expected a file; links are not followed")
        }
        let (file, status) = try fileSystem.openFile(path, .read(followLinks: followLinks))
        self.init(file, status, fileSystem)
    }

    deinit { try? fileSystem.close(file) }

    /// Reads from `offset` into a part of `bytes` until it is full or the file ends; returns how many bytes came.
    package func readAvailable(
        into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int
    ) throws(FileSystemError) -> Int {
        var done = part.lowerBound
        while done < part.upperBound {
            let count = try fileSystem.read(
                file, into: &bytes, part: done..<part.upperBound, at: offset + done - part.lowerBound)
            if count == 0 { break }
            done += count
            WorkProgress.advance(count, .bytesRead)
        }
        return done - part.lowerBound
    }

    /// Fills `bytes`, or the given part of it, from `offset`; throws 65 when the file ends before that.
    package func read(
        into bytes: inout MutableRawSpan, part: Range<Int>? = nil, at offset: Int
    ) throws(FileSystemError) {
        let part = part ?? 0..<bytes.byteCount
        let count = try readAvailable(into: &bytes, part: part, at: offset)
        guard count == part.count else {
            throw FileSystemError(
                path,
                problem: "ends at byte \(offset + count), expected at least \(offset + part.count) bytes; "
                    + "it was cut short or changed while it was read")
        }
    }

    /// `count` bytes from `offset`; throws 65 when the file ends before that.
    ///
    /// - Precondition: the caller has bounded `count`; memory for it is taken at once.
    package func bytes(_ count: Int, at offset: Int) throws(FileSystemError) -> [UInt8] {
        try filled(count) { bytes throws(FileSystemError) in
            try read(into: &bytes, at: offset)
            return count
        }
    }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    ///
    /// - Precondition: as of `bytes(_:at:)`.
    package func availableBytes(_ count: Int, at offset: Int) throws(FileSystemError) -> [UInt8] {
        try filled(count) { bytes throws(FileSystemError) in
            try readAvailable(into: &bytes, part: 0..<count, at: offset)
        }
    }

    /// The whole file, when it is no longer than `limit` bytes; throws 65 otherwise.
    package func contents(limit: Int) throws(FileSystemError) -> [UInt8] {
        guard size <= limit else {
            throw FileSystemError(path, problem: "has \(size) bytes, expected at most \(limit)")
        }
        return try bytes(size, at: 0)
    }

    /// The contents of a file that may be missing: nil then.
    package static func contents(
        ifPresent path: FilePath, limit: Int = 64 << 20, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(FileSystemError) -> [UInt8]? {
        do throws(FileSystemError) {
            return try InputFile(path, fileSystem: fileSystem).contents(limit: limit)
        } catch  where error.isNotFound {
            return nil
        }
    }

    /// Whether these first bytes are those of a Git LFS pointer: what a clone without LFS has in place of a large file.
    package static func isLFSPointer(_ start: some Sequence<UInt8>) -> Bool {
        start.starts(with: "version https://git-lfs.github.com/spec".utf8)
    }

    /// What a message says about such a file.
    package static let lfsAdvice = "it is a Git LFS pointer and not the file itself; run `git lfs pull` in its folder"
}

/// `count` bytes of which `fill` says how many it has filled; the others are left out.
private func filled(
    _ count: Int, _ fill: (inout MutableRawSpan) throws(FileSystemError) -> Int
) throws(FileSystemError) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    var span = result.mutableSpan
    var bytes = span.mutableBytes
    let filled = try fill(&bytes)
    result.removeLast(count - filled)
    return result
}

/// Something to be read once, from its start to its end: a pipe, a device, standard input.
package final class InputPipe: Sendable {
    /// The path as it was given; `standard input` for that.
    package var path: FilePath { file.path }
    private let file: OpenFile
    private let fileSystem: any FileSystem

    /// Opens a pipe or device, and waits until there is someone who writes to it.
    package init(_ path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws(FileSystemError) {
        file = try fileSystem.open(path, .stream)
        self.fileSystem = fileSystem
    }

    /// Standard input.
    package init() {
        file = OpenFile(0, "standard input")
        fileSystem = LocalFileSystem()
    }

    deinit { if file.descriptor > 0 { try? fileSystem.close(file) } }

    /// The next bytes, at most `count`; none at the end.
    package func next(_ count: Int) throws(FileSystemError) -> [UInt8] {
        try filled(count) { bytes throws(FileSystemError) in
            try fileSystem.read(file, into: &bytes, part: 0..<count, at: nil)
        }
    }
}
