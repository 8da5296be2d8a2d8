import Glibc

/// A failed operation, with the system's own code and text.
public struct FileSystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried, as a verb: `open`, `write`, `fsync`.
    public let operation: String
    /// The file or directory; empty when only a descriptor was at hand.
    public let path: String
    /// The system's `errno`.
    public let code: Int32

    public init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    public var description: String {
        "cannot \(operation)\(path.isEmpty ? "" : " \(path)"): \(systemErrorText(code))"
    }
}

extension FileSystemError {
    /// There is nothing of that name.
    static let notFound = ENOENT

    /// No room: the disk, the user's quota or the limit on a file's size.
    var isOutOfSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }

    /// The file system cannot do this kind of rename.
    var isUnsupported: Bool { [EINVAL, ENOSYS, ENOTSUP].contains(code) }
}
