import CLinux
import Glibc

/// The operating system's own file system. Calls that a signal interrupts are made again.
public struct LocalFileSystem: FileSystem {
    public init() {}

    public func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> Int32 {
        let flags: Int32 =
            switch access {
            case .read(let followLinks): O_RDONLY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW)
            case .directory: O_RDONLY | O_DIRECTORY
            case .create: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
            case .lockFile: O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK
            }
        return try check("open", path) { Glibc.open(path, flags | O_CLOEXEC, 0o644) }
    }

    public func close(_ descriptor: Int32) throws(FileSystemError) {
        // Linux has given the descriptor back even when close fails: a second try could close someone else's.
        if Glibc.close(descriptor) != 0, errno != EINTR {
            throw FileSystemError(operation: "close", path: "", code: errno)
        }
    }

    public func read(
        _ descriptor: Int32, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int
    ) throws(FileSystemError) -> Int {
        // A call takes no more than about this anyway.
        let count = min(part.count, 1 << 30)
        return try bytes.withUnsafeMutableBytes { buffer throws(FileSystemError) in
            let target = buffer[part]  // the slice checks the bounds
            return try check("read", "") {
                pread(descriptor, target.base.baseAddress.map { $0 + part.lowerBound }, count, offset)
            }
        }
    }

    public func write(_ descriptor: Int32, _ bytes: RawSpan) throws(FileSystemError) -> Int {
        let count = min(bytes.byteCount, 1 << 30)
        return try bytes.withUnsafeBytes { buffer throws(FileSystemError) in
            try check("write", "") { Glibc.write(descriptor, buffer.baseAddress, count) }
        }
    }

    public func synchronize(_ descriptor: Int32) throws(FileSystemError) {
        // Not made again after any error: a second fsync can report success for data that is gone.
        if fsync(descriptor) != 0 { throw FileSystemError(operation: "fsync", path: "", code: errno) }
    }

    public func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus {
        var status = stat()
        _ = try check("examine", "") { fstat(descriptor, &status) }
        return FileStatus(status)
    }

    public func status(path: String) throws(FileSystemError) -> FileStatus {
        var status = stat()
        _ = try check("examine", path) { lstat(path, &status) }
        return FileStatus(status)
    }

    public func makeDirectory(_ path: String) throws(FileSystemError) {
        _ = try check("create", path) { mkdir(path, 0o755) }
    }

    public func rename(_ from: String, to: String, _ mode: RenameMode) throws(FileSystemError) {
        let flag: UInt32 =
            switch mode {
            case .plain: 0
            case .noReplace: 1  // RENAME_NOREPLACE
            case .exchange: 2  // RENAME_EXCHANGE
            }
        _ = try check("rename", from) { renameat2(AT_FDCWD, from, AT_FDCWD, to, flag) }
    }

    public func removeFile(_ path: String) throws(FileSystemError) {
        _ = try check("remove", path) { unlink(path) }
    }

    public func removeDirectory(_ path: String) throws(FileSystemError) {
        _ = try check("remove", path) { rmdir(path) }
    }

    public func names(in directory: String) throws(FileSystemError) -> [String] {
        guard let stream = opendir(directory) else {
            throw FileSystemError(operation: "list", path: directory, code: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        if errno != 0 { throw FileSystemError(operation: "list", path: directory, code: errno) }
        return names.sorted()
    }

    public func freeBytes(at path: String) throws(FileSystemError) -> Int {
        var status = statvfs()
        _ = try check("examine", path) { statvfs(path, &status) }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int.max : Int(clamping: bytes)
    }

    public func lock(_ descriptor: Int32) throws(FileSystemError) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK: return false
            default: throw FileSystemError(operation: "lock", path: "", code: errno)
            }
        }
        return true
    }

    public func truncate(_ descriptor: Int32) throws(FileSystemError) {
        _ = try check("truncate", "") { ftruncate(descriptor, 0) }
    }

    /// Runs a call that gives -1 on an error, again while a signal interrupts it.
    private func check<Result: SignedInteger>(
        _ operation: String, _ path: String, _ call: () -> Result
    ) throws(FileSystemError) -> Result {
        while true {
            let result = call()
            if result >= 0 { return result }
            if errno != EINTR { throw FileSystemError(operation: operation, path: path, code: errno) }
        }
    }
}

extension FileStatus {
    fileprivate init(_ status: stat) {
        let kind: Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        self.init(kind: kind, size: Int(status.st_size))
    }
}

/// The system's words for an error code.
func systemErrorText(_ code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 256)
    guard strerror_r(code, &text, text.count) == 0 else { return "error \(code)" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
