import Glibc

/// A file open for writing. Every error names it, and all that was handed over is written or an error is thrown.
package final class OutputFile {
    /// The path as it was given.
    package let path: FilePath
    /// Bytes in the file.
    package private(set) var size: Int
    private let fileSystem: any FileSystem
    private var descriptor: Int32?

    private init(
        _ path: FilePath, _ access: FileAccess, _ fileSystem: any FileSystem
    ) throws(FileSystemError) {
        let descriptor = try fileSystem.open(path, access)
        do throws(FileSystemError) {
            let status = try fileSystem.status(descriptor)
            guard status.kind == .file else {
                throw FileSystemError(path, problem: "is \(status.kind.rawValue), expected a file")
            }
            size = status.size
        } catch {
            try? fileSystem.close(descriptor)
            throw error.at(path)
        }
        self.path = path
        self.fileSystem = fileSystem
        self.descriptor = descriptor
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

    deinit { if let descriptor { try? fileSystem.close(descriptor) } }

    /// Writes all of `bytes` at the end, in as many calls as the system wants.
    package func append(_ bytes: RawSpan) throws(FileSystemError) {
        var done = 0
        defer { size += done }
        while done < bytes.byteCount { done += try write(bytes.extracting(done..<bytes.byteCount), nil) }
    }

    /// Writes all of `bytes` at `offset`, over what is there.
    package func write(_ bytes: RawSpan, at offset: Int) throws(FileSystemError) {
        var done = 0
        while done < bytes.byteCount {
            done += try write(bytes.extracting(done..<bytes.byteCount), offset + done)
        }
        size = max(size, offset + bytes.byteCount)
    }

    private func write(_ bytes: RawSpan, _ offset: Int?) throws(FileSystemError) -> Int {
        try use { descriptor throws(FileSystemError) in
            let count = try fileSystem.write(descriptor, bytes, at: offset)
            guard count > 0 else { throw FileSystemError(.write, code: EIO) }
            return count
        }
    }

    /// Cuts the file to its first `count` bytes.
    package func truncate(to count: Int) throws(FileSystemError) {
        try use { descriptor throws(FileSystemError) in try fileSystem.truncate(descriptor, to: count) }
        size = count
    }

    /// Gives the file these permissions, whatever the umask.
    package func setPermissions(_ permissions: UInt32) throws(FileSystemError) {
        try use { descriptor throws(FileSystemError) in try fileSystem.setPermissions(descriptor, permissions) }
    }

    /// Puts the file on the disk.
    package func synchronize() throws(FileSystemError) {
        try use { descriptor throws(FileSystemError) in try fileSystem.synchronize(descriptor) }
    }

    /// Closes the file; an error of an earlier write may show only here. Called once, after all else.
    package func close() throws(FileSystemError) {
        try use { descriptor throws(FileSystemError) in
            self.descriptor = nil
            try fileSystem.close(descriptor)
        }
    }

    /// The same file to read back, also where its name is gone. Nothing can be written any more.
    package func reading() throws(FileSystemError) -> InputFile {
        try use { descriptor throws(FileSystemError) in
            self.descriptor = nil
            return try InputFile(adopting: descriptor, path: path, fileSystem: fileSystem)
        }
    }

    private func use<Result>(
        _ body: (Int32) throws(FileSystemError) -> Result
    ) throws(FileSystemError) -> Result {
        guard let descriptor else { preconditionFailure("the file is closed") }
        do throws(FileSystemError) {
            return try body(descriptor)
        } catch {
            throw error.at(path)
        }
    }
}
