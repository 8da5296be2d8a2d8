import Glibc

/// A directory that this process alone may change, by a lock on the file `.lock` in it. The lock lives as long as this
/// object, and dies with the process however that ends.
package final class DirectoryLock: Sendable {
    /// Why there is no lock though nobody else has it: the file system cannot lock. One line, nil where it can.
    package let warning: String?
    private let file: OpenFile
    private let fileSystem: any FileSystem

    private init(_ file: OpenFile, _ warning: String?, _ fileSystem: any FileSystem) {
        self.file = file
        self.warning = warning
        self.fileSystem = fileSystem
    }

    deinit { try? fileSystem.close(file) }

    /// Takes the lock of an existing directory, and writes into the file who holds it.
    /// - Throws: exit code 81 where another process has it, `FileSystemError` where the file cannot be made.
    package static func take(
        in directory: FilePath, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> DirectoryLock {
        let (file, _) = try fileSystem.openFile(directory.appending(".lock"), .lockFile)
        do {
            var (isFree, warning) = (true, String?.none)
            do throws(FileSystemError) {
                isFree = try fileSystem.lock(file)
            } catch {
                guard error.isUnsupported else { throw error }
                warning =
                    "\(directory.shown) is not locked, since its file system cannot lock "
                    + "(\(systemErrorText(error.code))): start no second process on it"
            }
            guard isFree else {
                let holder = holder(directory, fileSystem)
                throw ExitError(
                    .inUse,
                    "\(directory.shown) is in use by \(holder); wait for it to end, or choose another directory")
            }
            try fileSystem.truncate(file, to: 0)
            let text = Array("process \(getpid()) on host \(hostName())\n".utf8)
            _ = try fileSystem.write(file, text.span.bytes, at: nil)
            return DirectoryLock(file, warning, fileSystem)
        } catch {
            try? fileSystem.close(file)
            throw error
        }
    }

    private static func holder(_ directory: FilePath, _ fileSystem: any FileSystem) -> String {
        let file = try? InputFile(directory.appending(".lock"), fileSystem: fileSystem)
        let text = (try? file?.availableBytes(200, at: 0)) ?? []
        let line = String(decoding: text.filter { (0x20..<0x7F).contains($0) }, as: UTF8.self)
        return line.isEmpty ? "another process" : line
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
