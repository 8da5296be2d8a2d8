import Glibc

/// An open file; every call's result is checked, and an error names the file and the system's reason.
///
/// Files are read with `pread`, never mapped: a mapped file that shrinks kills the process with SIGBUS at the next
/// touch, whereas a short read is an ordinary error. The page cache serves both alike.
final class SystemFile: Sendable {
    /// The path, as given.
    let path: String
    let descriptor: Int32

    /// The system's text for the current error.
    static var lastError: String { String(cString: strerror(errno)) }

    init(adopting descriptor: Int32, path: String) {
        self.path = path
        self.descriptor = descriptor
    }

    /// Opens a file for reading.
    convenience init(reading path: String) throws(TokenDataError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw TokenDataError(.missingInput, "cannot open '\(path)': \(Self.lastError); give a file that exists")
        }
        self.init(adopting: descriptor, path: path)
    }

    /// Creates a file, or empties the one that is there, for writing and reading back.
    convenience init(creating path: String) throws(TokenDataError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw TokenDataError(
                .cannotCreate, "cannot create '\(path)': \(Self.lastError); give a directory that can be written")
        }
        self.init(adopting: descriptor, path: path)
    }

    deinit { close(descriptor) }

    /// What `fstat` says.
    func status() throws(TokenDataError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw readFailed() }
        return status
    }

    /// The file's size in bytes now.
    func size() throws(TokenDataError) -> Int { Int(try status().st_size) }

    private func readFailed() -> TokenDataError {
        TokenDataError(.missingInput, "cannot read '\(path)': \(Self.lastError)")
    }

    /// Reads bytes from `offset` on into `range` of a buffer until it is full or the file ends; returns how many.
    func read(into buffer: inout MutableRawSpan, _ range: Range<Int>, at offset: Int) throws(TokenDataError) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.byteCount)
        var done = 0
        while done < range.count {
            let count = buffer.withUnsafeMutableBytes { bytes in
                pread(
                    descriptor, bytes.baseAddress! + range.lowerBound + done, range.count - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw readFailed() }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads up to `count` bytes at `offset`; fewer only at the end of the file.
    func bytes(at offset: Int, count: Int) throws(TokenDataError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard count > 0 else { return bytes }
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        let got = try read(into: &raw, 0..<count, at: offset)
        if got < count { bytes.removeLast(count - got) }
        return bytes
    }

    /// Reads the next bytes of a stream into a new array; empty at its end.
    func nextBytes(count: Int) throws(TokenDataError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        while true {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress!, $0.count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw readFailed() }
            bytes.removeLast(count - got)
            return bytes
        }
    }

    /// Writes all of `bytes` at the current end, or at `offset`.
    func write(_ bytes: [UInt8], at offset: Int? = nil) throws(TokenDataError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                if let offset {
                    pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
                } else {
                    Glibc.write(descriptor, buffer.baseAddress! + done, buffer.count - done)
                }
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw writeFailed() }
            done += count
        }
    }

    /// Makes what has been written durable.
    func sync() throws(TokenDataError) {
        guard fsync(descriptor) == 0 else { throw writeFailed() }
    }

    private func writeFailed() -> TokenDataError {
        TokenDataError(.writeFailed, "cannot write '\(path)': \(Self.lastError)")
    }

    /// Gives a file its final name.
    static func rename(_ from: String, to: String) throws(TokenDataError) {
        guard Glibc.rename(from, to) == 0 else {
            throw TokenDataError(.writeFailed, "cannot rename '\(from)' to '\(to)': \(lastError)")
        }
    }

    /// The names in a directory but for `.` and `..`, sorted byte by byte.
    static func names(in directory: String) throws(TokenDataError) -> [String] {
        guard let stream = opendir(directory) else {
            throw TokenDataError(.missingInput, "cannot list '\(directory)': \(lastError)")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        names.removeAll { $0 == "." || $0 == ".." }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Takes the lock of a directory, which is given back with the file.
    static func lock(directory: String) throws(TokenDataError) -> SystemFile {
        let file = try SystemFile(reading: directory)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw TokenDataError(
                .inUse, "output directory '\(directory)' is in use by another process; wait for it or give another one")
        }
        return file
    }

    /// Makes a directory's entries durable.
    static func syncDirectory(_ path: String) throws(TokenDataError) {
        try SystemFile(reading: path).sync()
    }
}
