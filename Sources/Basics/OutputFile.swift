import Glibc

/// A file open for writing. Every error names it, and all that was handed over is written or an error is thrown.
package final class OutputFile {
    /// Bytes in the file.
    package private(set) var size: Int
    private let fileSystem: any FileSystem
    /// Nil once it is closed.
    private var file: OpenFile?

    private init(_ path: FilePath, _ access: FileAccess, _ fileSystem: any FileSystem) throws(FileSystemError) {
        let (file, status) = try fileSystem.openFile(path, access)
        size = status.size
        self.file = file
        self.fileSystem = fileSystem
    }

    /// Makes a file that must not be there yet.
    package convenience init(
        creating path: FilePath, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(FileSystemError) {
        try self.init(path, .create, fileSystem)
    }

    /// Opens a file to add to its end; makes it when it is missing.
    package convenience init(
        appendingTo path: FilePath, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(FileSystemError) {
        try self.init(path, .append, fileSystem)
    }

    deinit { if let file { try? fileSystem.close(file) } }

    private var open: OpenFile {
        guard let file else { preconditionFailure("the file is closed") }
        return file
    }

    /// Writes all of `bytes` at the end, in as many calls as the system wants.
    package func append(_ bytes: RawSpan) throws(FileSystemError) { try write(bytes, at: nil) }

    /// Writes all of `bytes` at `offset`, over what is there, or at the end where that is nil.
    package func write(_ bytes: RawSpan, at offset: Int?) throws(FileSystemError) {
        let pieceLength = 16 << 20
        var done = 0
        defer { size = max(size, (offset ?? size) + done) }
        while done < bytes.byteCount {
            // In pieces, so that who watches sees a large file grow.
            let rest = bytes.extracting(done..<min(done + pieceLength, bytes.byteCount))
            let count = try fileSystem.write(open, rest, at: offset.map { $0 + done })
            guard count > 0 else { throw FileSystemError(.write, open.path, code: EIO) }
            done += count
            WorkProgress.advance(count, .bytesWritten)
        }
    }

    /// Writes all of `bytes` behind the first `whole` bytes, or nothing of them: what an attempt that failed left there is
    /// taken away, now or before the next one.
    /// - Parameter whole: the bytes that count; after success those of now.
    package func append(_ bytes: [UInt8], behind whole: inout Int) throws(FileSystemError) {
        do throws(FileSystemError) {
            if size != whole { try truncate(to: whole) }
            try append(bytes.span.bytes)
            whole = size
        } catch {
            if size != whole { try? truncate(to: whole) }
            throw error
        }
    }

    /// Cuts the file to its first `count` bytes.
    package func truncate(to count: Int) throws(FileSystemError) {
        try fileSystem.truncate(open, to: count)
        size = count
    }

    /// Gives the file these permissions, whatever the umask.
    package func setPermissions(_ permissions: UInt32) throws(FileSystemError) {
        try fileSystem.setPermissions(open, permissions)
    }

    /// Puts the file on the disk.
    package func synchronize() throws(FileSystemError) { try fileSystem.synchronize(open) }

    /// Closes the file; an error of an earlier write may show only here. Called once, after all else.
    package func close() throws(FileSystemError) {
        let file = open
        self.file = nil
        try fileSystem.close(file)
    }

    /// The same file to read back, also where its name is gone. Nothing can be written any more.
    package func reading() throws(FileSystemError) -> InputFile {
        let (file, status) = (open, try fileSystem.status(open))
        self.file = nil
        return InputFile(file, status, fileSystem)
    }
}
