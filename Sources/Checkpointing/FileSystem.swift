/// Every operation on disk that this module does. The seam that lets a test fail any one of them, cut the power
/// after it, or count them.
public protocol FileSystem: Sendable {
    /// Opens a file; the caller closes the descriptor.
    func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> Int32
    /// Closes a descriptor. An error can be the first word of a failed write.
    func close(_ descriptor: Int32) throws(FileSystemError)
    /// Reads at most `part.count` bytes, from `offset` in the file into that part of `bytes`; 0 is the end of the file.
    func read(
        _ descriptor: Int32, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int
    ) throws(FileSystemError) -> Int
    /// Appends; may take fewer bytes than it was given.
    func write(_ descriptor: Int32, _ bytes: RawSpan) throws(FileSystemError) -> Int
    /// Puts a file or directory on the disk itself. After an error the data must be taken as lost: never retried.
    func synchronize(_ descriptor: Int32) throws(FileSystemError)
    /// What an open descriptor refers to.
    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus
    /// What is at a path; a symbolic link is not followed.
    func status(path: String) throws(FileSystemError) -> FileStatus
    /// Makes a directory that must not be there yet, with the permissions that the user's umask leaves of 0755.
    func makeDirectory(_ path: String) throws(FileSystemError)
    /// Renames in one step.
    func rename(_ from: String, to: String, _ mode: RenameMode) throws(FileSystemError)
    /// Removes a file.
    func removeFile(_ path: String) throws(FileSystemError)
    /// Removes an empty directory.
    func removeDirectory(_ path: String) throws(FileSystemError)
    /// The names in a directory, without `.` and `..`, sorted.
    func names(in directory: String) throws(FileSystemError) -> [String]
    /// Bytes that may still be written where `path` is.
    func freeBytes(at path: String) throws(FileSystemError) -> Int
    /// Locks an open file against other processes until it is closed or the process dies; false when another has it.
    func lock(_ descriptor: Int32) throws(FileSystemError) -> Bool
    /// Empties an open file.
    func truncate(_ descriptor: Int32) throws(FileSystemError)
}

/// How a file is opened. No mode but `.read(followLinks: true)` follows a symbolic link at the end of the path.
public enum FileAccess: Equatable, Sendable {
    /// For reading; never blocks on a FIFO.
    case read(followLinks: Bool)
    /// A directory, to put its entries on the disk.
    case directory
    /// A new file for writing, which must not be there yet.
    case create
    /// A file for reading and writing, made when missing.
    case lockFile
}

/// What a rename does when the new name is taken.
public enum RenameMode: Equatable, Sendable {
    /// Fails. Not every file system can do this.
    case noReplace
    /// Fails when the new name is a directory that is not empty, and replaces it otherwise. They all can do this.
    case plain
    /// Swaps the two. Not every file system can do this.
    case exchange
}

/// What a path or descriptor refers to.
public struct FileStatus: Equatable, Sendable {
    /// The kinds that matter here.
    public enum Kind: String, Sendable {
        case file = "a file"
        case directory = "a directory"
        case symbolicLink = "a symbolic link"
        case other = "a device, pipe or socket"
    }

    public let kind: Kind
    /// Bytes of a file.
    public let size: Int

    public init(kind: Kind, size: Int) {
        self.kind = kind
        self.size = size
    }
}
