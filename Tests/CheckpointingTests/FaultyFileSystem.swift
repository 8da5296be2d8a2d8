import Checkpointing
import Glibc
import Synchronization

/// The real file system, with a fault at one operation that changes something: an error once, an error from then on
/// (the process is dead and nothing more happens), or the end of this very process.
final class FaultyFileSystem: FileSystem {
    enum Fault: Sendable {
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

    init(_ fault: Fault = .none, at place: Int = .max, longestWrite: Int = .max) {
        self.fault = fault
        self.place = place
        self.longestWrite = longestWrite
    }

    /// Operations so far.
    var count: Int { counter.withLock { $0 } }

    private func step(_ operation: String, _ path: String) throws(FileSystemError) {
        let number = counter.withLock { value in
            defer { value += 1 }
            return value
        }
        switch fault {
        case .error(let code) where number == place:
            throw FileSystemError(operation: operation, path: path, code: code)
        case .dead where number >= place:
            throw FileSystemError(operation: operation, path: path, code: ECANCELED)
        case .exit(let code) where number == place:
            _exit(code)
        default:
            break
        }
    }

    func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> Int32 {
        if access == .create || access == .directory { try step("open", path) }
        return try base.open(path, access)
    }

    func close(_ descriptor: Int32) throws(FileSystemError) { try base.close(descriptor) }

    func read(
        _ descriptor: Int32, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int
    ) throws(FileSystemError) -> Int {
        try base.read(descriptor, into: &bytes, part: part, at: offset)
    }

    func write(_ descriptor: Int32, _ bytes: RawSpan) throws(FileSystemError) -> Int {
        try step("write", "")
        return try base.write(descriptor, bytes.extracting(first: min(bytes.byteCount, longestWrite)))
    }

    func synchronize(_ descriptor: Int32) throws(FileSystemError) {
        try step("fsync", "")
        try base.synchronize(descriptor)
    }

    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus { try base.status(descriptor) }

    func status(path: String) throws(FileSystemError) -> FileStatus { try base.status(path: path) }

    func makeDirectory(_ path: String) throws(FileSystemError) {
        try step("create", path)
        try base.makeDirectory(path)
    }

    func rename(_ from: String, to: String, _ mode: RenameMode) throws(FileSystemError) {
        try step("rename", from)
        try base.rename(from, to: to, mode)
    }

    func removeFile(_ path: String) throws(FileSystemError) {
        try step("remove", path)
        try base.removeFile(path)
    }

    func removeDirectory(_ path: String) throws(FileSystemError) {
        try step("remove", path)
        try base.removeDirectory(path)
    }

    func names(in directory: String) throws(FileSystemError) -> [String] { try base.names(in: directory) }

    func freeBytes(at path: String) throws(FileSystemError) -> Int { try base.freeBytes(at: path) }

    func lock(_ descriptor: Int32) throws(FileSystemError) -> Bool { try base.lock(descriptor) }

    func truncate(_ descriptor: Int32) throws(FileSystemError) { try base.truncate(descriptor) }
}
