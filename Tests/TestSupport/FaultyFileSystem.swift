import Basics
import Glibc
import Synchronization

/// The real file system, with a fault at one operation that changes something: an error once, an error from then on
/// (the process is dead and nothing more happens), or the end of this very process.
package final class FaultyFileSystem: FileSystem {
    package enum Fault: Sendable {
        case none
        case error(Int32)
        case dead
        case exit(Int32)
    }

    private let base = LocalFileSystem()
    private let fault: Fault
    private let place: Int
    private let counter = Mutex(0)
    /// Writes take at most this many bytes, as a signal or a full pipe would have it.
    private let longestWrite: Int

    /// Called before a file is opened to be read; what it throws is that call's error.
    private let beforeReading: @Sendable (FilePath) throws(FileSystemError) -> Void
    /// The room that is left; nil: the real one.
    private let room: (@Sendable () -> Int)?
    /// What `flock` fails with, and `fsync` of a folder where it can fail so.
    private let unsupported: Int32?

    package init(
        _ fault: Fault = .none, at place: Int = .max, longestWrite: Int = .max, unsupported: Int32? = nil,
        room: (@Sendable () -> Int)? = nil,
        beforeReading: @escaping @Sendable (FilePath) throws(FileSystemError) -> Void = { _ in }
    ) {
        self.fault = fault
        self.place = place
        self.longestWrite = longestWrite
        self.unsupported = unsupported
        self.room = room
        self.beforeReading = beforeReading
    }

    /// Operations so far.
    package var count: Int { counter.withLock { $0 } }

    private func step(_ operation: FileSystemError.Operation, _ path: FilePath) throws(FileSystemError) {
        let number = counter.withLock { value in
            defer { value += 1 }
            return value
        }
        switch fault {
        case .error(let code) where number == place:
            throw FileSystemError(operation, path, code: code)
        case .dead where number >= place:
            throw FileSystemError(operation, path, code: ECANCELED)
        case .exit(let code) where number == place:
            _exit(code)
        default:
            break
        }
    }

    package func open(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> OpenFile {
        if access == .create || access == .directory { try step(.open, path) }
        if case .read = access { try beforeReading(path) }
        return try base.open(path, access)
    }

    package func close(_ file: OpenFile) throws(FileSystemError) { try base.close(file) }

    package func read(
        _ file: OpenFile, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int?
    ) throws(FileSystemError) -> Int {
        try base.read(file, into: &bytes, part: part, at: offset)
    }

    package func write(_ file: OpenFile, _ bytes: RawSpan, at offset: Int?) throws(FileSystemError) -> Int {
        try step(.write, file.path)
        return try base.write(file, bytes.extracting(first: min(bytes.byteCount, longestWrite)), at: offset)
    }

    package func synchronize(_ file: OpenFile) throws(FileSystemError) {
        try step(.synchronize, file.path)
        if let unsupported, unsupported != ENOLCK, try base.status(file).kind == .directory {
            throw FileSystemError(.synchronize, file.path, code: unsupported)
        }
        try base.synchronize(file)
    }

    package func status(_ file: OpenFile) throws(FileSystemError) -> FileStatus { try base.status(file) }

    package func status(_ path: FilePath, followLinks: Bool) throws(FileSystemError) -> FileStatus {
        try base.status(path, followLinks: followLinks)
    }

    package func makeDirectory(_ path: FilePath) throws(FileSystemError) {
        try step(.create, path)
        try base.makeDirectory(path)
    }

    package func rename(_ from: FilePath, to: FilePath, _ mode: RenameMode) throws(FileSystemError) {
        try step(.rename, from)
        try base.rename(from, to: to, mode)
    }

    package func removeFile(_ path: FilePath) throws(FileSystemError) {
        try step(.remove, path)
        try base.removeFile(path)
    }

    package func removeDirectory(_ path: FilePath) throws(FileSystemError) {
        try step(.remove, path)
        try base.removeDirectory(path)
    }

    package func names(in directory: FilePath) throws(FileSystemError) -> [FilePath.Component] {
        try base.names(in: directory)
    }

    package func freeBytes(at path: FilePath) throws(FileSystemError) -> Int {
        if let room { return room() }
        return try base.freeBytes(at: path)
    }

    package func lock(_ file: OpenFile) throws(FileSystemError) -> Bool {
        if let unsupported { throw FileSystemError(.lock, file.path, code: unsupported) }
        return try base.lock(file)
    }

    package func truncate(_ file: OpenFile, to size: Int) throws(FileSystemError) {
        try base.truncate(file, to: size)
    }

    package func setPermissions(_ file: OpenFile, _ permissions: UInt32) throws(FileSystemError) {
        try base.setPermissions(file, permissions)
    }

    package func target(ofLink path: FilePath) throws(FileSystemError) -> FilePath { try base.target(ofLink: path) }

    package func makeLink(_ path: FilePath, to target: FilePath) throws(FileSystemError) {
        try step(.create, path)
        try base.makeLink(path, to: target)
    }
}
