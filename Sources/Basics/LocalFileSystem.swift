import CLinux
import Glibc
import SystemPackage

/// The operating system's own file system. Calls that a signal interrupts are made again.
package struct LocalFileSystem: FileSystem {
    package init() {}

    package func open(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> OpenFile {
        let flags: Int32 =
            switch access {
            case .read(let followLinks): O_RDONLY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW)
            case .stream: O_RDONLY
            case .directory: O_RDONLY | O_DIRECTORY
            case .create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
            case .append: O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK
            case .lockFile: O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK
            }
        let operation: FileSystemError.Operation = flags & O_CREAT == 0 ? .open : .create
        return OpenFile(try check(operation, path) { Glibc.open($0, flags | O_CLOEXEC, 0o666) }, path)
    }

    package func close(_ file: OpenFile) throws(FileSystemError) {
        // Linux has given the descriptor back even when close fails: a second try could close someone else's.
        if Glibc.close(file.descriptor) != 0, errno != EINTR { throw FileSystemError(.write, file.path, code: errno) }
    }

    package func read(
        _ file: OpenFile, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int?
    ) throws(FileSystemError) -> Int {
        // A call takes no more than about this anyway.
        let count = min(part.count, 1 << 30)
        return try bytes.withUnsafeMutableBytes { buffer throws(FileSystemError) in
            let target = buffer[part]  // the slice checks the bounds
            let start = target.base.baseAddress.map { $0 + part.lowerBound }
            return try check(.read, file) { descriptor in
                offset.map { pread(descriptor, start, count, $0) } ?? Glibc.read(descriptor, start, count)
            }
        }
    }

    package func write(_ file: OpenFile, _ bytes: RawSpan, at offset: Int?) throws(FileSystemError) -> Int {
        let count = min(bytes.byteCount, 1 << 30)
        return try bytes.withUnsafeBytes { buffer throws(FileSystemError) in
            try check(.write, file) { descriptor in
                offset.map { pwrite(descriptor, buffer.baseAddress, count, $0) }
                    ?? Glibc.write(descriptor, buffer.baseAddress, count)
            }
        }
    }

    package func synchronize(_ file: OpenFile) throws(FileSystemError) {
        // Not made again after any error: a second fsync can report success for data that is gone.
        if fsync(file.descriptor) != 0 { throw FileSystemError(.synchronize, file.path, code: errno) }
    }

    package func truncate(_ file: OpenFile, to size: Int) throws(FileSystemError) {
        _ = try check(.write, file) { ftruncate($0, size) }
    }

    package func setPermissions(_ file: OpenFile, _ permissions: UInt32) throws(FileSystemError) {
        _ = try check(.write, file) { fchmod($0, permissions) }
    }

    package func lock(_ file: OpenFile) throws(FileSystemError) -> Bool {
        do throws(FileSystemError) {
            return try check(.lock, file) { flock($0, LOCK_EX | LOCK_NB) } == 0
        } catch  where error.code == EWOULDBLOCK {
            return false
        }
    }

    package func status(_ file: OpenFile) throws(FileSystemError) -> FileStatus {
        var status = stat()
        _ = try check(.examine, file) { fstat($0, &status) }
        return FileStatus(status)
    }

    package func status(_ path: FilePath, followLinks: Bool) throws(FileSystemError) -> FileStatus {
        var status = stat()
        _ = try check(.examine, path) { followLinks ? stat($0, &status) : lstat($0, &status) }
        return FileStatus(status)
    }

    package func target(ofLink path: FilePath) throws(FileSystemError) -> FilePath {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        _ = try check(.examine, path) { readlink($0, &text, text.count - 1) }
        return FilePath(platformString: text)
    }

    package func makeLink(_ path: FilePath, to target: FilePath) throws(FileSystemError) {
        _ = try check(.create, path) { path in target.withPlatformString { symlink($0, path) } }
    }

    package func makeDirectory(_ path: FilePath) throws(FileSystemError) {
        _ = try check(.create, path) { mkdir($0, 0o777) }
    }

    package func rename(_ from: FilePath, to: FilePath, _ mode: RenameMode) throws(FileSystemError) {
        _ = try check(.rename, from) { from in
            to.withPlatformString { renameat2(AT_FDCWD, from, AT_FDCWD, $0, mode.rawValue) }
        }
    }

    package func removeFile(_ path: FilePath) throws(FileSystemError) {
        _ = try check(.remove, path) { unlink($0) }
    }

    package func removeDirectory(_ path: FilePath) throws(FileSystemError) {
        _ = try check(.remove, path) { rmdir($0) }
    }

    package func names(in directory: FilePath) throws(FileSystemError) -> [FilePath.Component] {
        guard let stream = directory.withPlatformString({ opendir($0) }) else {
            throw FileSystemError(.list, directory, code: errno)
        }
        defer { closedir(stream) }
        var names: [[CChar]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            names.append(withUnsafeBytes(of: entry.pointee.d_name) { $0.prefix { $0 != 0 }.map(CChar.init) } + [0])
        }
        if errno != 0 { throw FileSystemError(.list, directory, code: errno) }
        return names.sorted { $0.lexicographicallyPrecedes($1) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) } }
            .compactMap { FilePath.Component(platformString: $0) }.filter { $0.kind == .regular }
    }

    package func freeBytes(at path: FilePath) throws(FileSystemError) -> Int {
        var status = statvfs()
        _ = try check(.examine, path) { statvfs($0, &status) }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int.max : Int(clamping: bytes)
    }

    private func check<Result: SignedInteger>(
        _ operation: FileSystemError.Operation, _ file: OpenFile, _ call: (Int32) -> Result
    ) throws(FileSystemError) -> Result {
        try attempt(operation, file.path) { call(file.descriptor) }
    }

    private func check<Result: SignedInteger>(
        _ operation: FileSystemError.Operation, _ path: FilePath, _ call: (UnsafePointer<CChar>) -> Result
    ) throws(FileSystemError) -> Result {
        try attempt(operation, path) { path.withPlatformString(call) }
    }

    /// Runs a call that gives -1 on an error, again while a signal interrupts it.
    private func attempt<Result: SignedInteger>(
        _ operation: FileSystemError.Operation, _ path: FilePath, _ call: () -> Result
    ) throws(FileSystemError) -> Result {
        while true {
            let result = call()
            Activity.goOn()
            if result >= 0 { return result }
            let code = errno
            if code == EINTR { continue }
            var room = statvfs()
            let known = code == ENOSPC && path.parent.withPlatformString { statvfs($0, &room) } == 0
            let lacksInodes = known && room.f_files > 0 && room.f_favail == 0
            throw FileSystemError(operation, path, code: code, lacksInodes: lacksInodes)
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
            case S_IFIFO: .pipe
            default: .other
            }
        self.init(kind: kind, size: Int(status.st_size))
        permissions = status.st_mode & 0o7777
        identity = Identity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
        modified = status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec
    }
}
