import Glibc

/// A new file that is written once, from its start to its end, and hashed in the same pass.
final class OutputFile {
    /// What was written.
    struct Summary: Equatable, Sendable {
        let size: Int
        let sha256: String
    }

    private let path: String
    private let fileSystem: any FileSystem
    private var descriptor: Int32?
    private let digest: SHA256
    private var size = 0

    init(path: String, fileSystem: any FileSystem) throws {
        self.path = path
        self.fileSystem = fileSystem
        digest = try SHA256()
        descriptor = try fileSystem.open(path, .create)
    }

    deinit { if let descriptor { try? fileSystem.close(descriptor) } }

    /// Appends all of `bytes`, in as many calls as the system wants.
    ///
    /// - Precondition: `finish` was not called.
    func append(_ bytes: RawSpan) throws {
        guard let descriptor else { preconditionFailure("the file is finished") }
        var done = 0
        while done < bytes.byteCount {
            do throws(FileSystemError) {
                let count = try fileSystem.write(descriptor, bytes.extracting(done..<bytes.byteCount))
                guard count > 0 else { throw FileSystemError(operation: "write", path: path, code: EIO) }
                done += count
            } catch {
                throw FileSystemError(operation: error.operation, path: path, code: error.code)
            }
        }
        try digest.update(bytes)
        size += bytes.byteCount
    }

    /// Puts the file on the disk and closes it.
    ///
    /// - Precondition: called once.
    func finish() throws -> Summary {
        guard let open = descriptor else { preconditionFailure("the file is finished") }
        do throws(FileSystemError) {
            try fileSystem.synchronize(open)
            descriptor = nil
            try fileSystem.close(open)
        } catch {
            throw FileSystemError(operation: error.operation, path: path, code: error.code)
        }
        return Summary(size: size, sha256: try digest.value())
    }
}
