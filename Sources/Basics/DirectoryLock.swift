import Glibc

/// A directory that this process alone may change, by a lock on the file `.lock` in it. The lock lives as long as this
/// object, and dies with the process however that ends.
package final class DirectoryLock: Sendable {
    /// Another process holds the lock (exit code 81).
    package struct InUse: ExitCoded {
        package let directory: FilePath
        /// Such as `process 12 on host a`.
        package let holder: String
        package var exitCode: ExitCode { .inUse }
        package var description: String {
            "\(directory.shown) is in use by \(holder); wait for it to end, or choose another directory"
        }
    }

    /// Why there is no lock though nobody else has it: the file system cannot lock. One line, nil where it can.
    package let warning: String?
    private let descriptor: Int32
    private let fileSystem: any FileSystem

    private init(descriptor: Int32, warning: String?, fileSystem: any FileSystem) {
        self.descriptor = descriptor
        self.warning = warning
        self.fileSystem = fileSystem
    }

    deinit { try? fileSystem.close(descriptor) }

    /// Takes the lock of an existing directory, and writes into the file who holds it.
    /// - Throws: `InUse`, or `FileSystemError` where the file cannot be made.
    package static func take(
        in directory: FilePath, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> DirectoryLock {
        let path = directory.appending(".lock")
        let descriptor = try fileSystem.open(path, .lockFile)
        let warning: String?
        do {
            let status = try fileSystem.status(descriptor)
            guard status.kind == .file else {
                throw FileSystemError(path, problem: "is \(status.kind.rawValue), expected a file")
            }
            let isFree: Bool
            (isFree, warning) = try lock(descriptor, directory, fileSystem)
            guard isFree else {
                throw InUse(directory: directory, holder: holder(descriptor, status.size, fileSystem))
            }
            try fileSystem.truncate(descriptor, to: 0)
            let text = Array("process \(getpid()) on host \(hostName())\n".utf8)
            _ = try fileSystem.write(descriptor, text.span.bytes, at: nil)
        } catch {
            try? fileSystem.close(descriptor)
            throw (error as? FileSystemError)?.at(path) ?? error
        }
        return DirectoryLock(descriptor: descriptor, warning: warning, fileSystem: fileSystem)
    }

    private static func lock(
        _ descriptor: Int32, _ directory: FilePath, _ fileSystem: any FileSystem
    ) throws(FileSystemError) -> (isFree: Bool, warning: String?) {
        do throws(FileSystemError) {
            return (try fileSystem.lock(descriptor), nil)
        } catch {
            guard error.isUnsupported else { throw error }
            return (
                true,
                "\(directory.shown) is not locked, since its file system cannot lock "
                    + "(\(systemErrorText(error.code))): start no second process on it"
            )
        }
    }

    private static func holder(_ descriptor: Int32, _ size: Int, _ fileSystem: any FileSystem) -> String {
        var text = [UInt8](repeating: 0, count: min(max(size, 1), 200))
        var span = text.mutableSpan
        var bytes = span.mutableBytes
        let count = (try? fileSystem.read(descriptor, into: &bytes, part: 0..<bytes.byteCount, at: 0)) ?? 0
        let line = String(decoding: text.prefix(count).filter { (0x20..<0x7F).contains($0) }, as: UTF8.self)
        return line.isEmpty ? "another process" : line
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
