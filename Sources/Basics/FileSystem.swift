import SystemPackage

/// A path as the system has it: bytes, in which only `/` and NUL mean anything.
package typealias FilePath = SystemPackage.FilePath

/// Every operation on disk that this program does. The seam that lets a test fail any one of them, cut the power after
/// it, or count them.
///
/// Files are made for reading and writing by everyone, directories with all rights; the user's umask takes from that.
package protocol FileSystem: Sendable {
    /// Opens a file; the caller closes the descriptor.
    func open(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> Int32
    /// Closes a descriptor. An error can be the first word of a failed write.
    func close(_ descriptor: Int32) throws(FileSystemError)
    /// Reads at most `part.count` bytes into that part of `bytes`, from `offset` in the file, or what comes next in a
    /// stream where `offset` is nil; 0 is the end.
    func read(
        _ descriptor: Int32, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int?
    ) throws(FileSystemError) -> Int
    /// Writes at `offset`, or where the last write ended where that is nil; may take fewer bytes than it was given.
    func write(_ descriptor: Int32, _ bytes: RawSpan, at offset: Int?) throws(FileSystemError) -> Int
    /// Puts a file or directory on the disk itself. After an error the data must be taken as lost: never retried.
    func synchronize(_ descriptor: Int32) throws(FileSystemError)
    /// Cuts an open file to `size` bytes.
    func truncate(_ descriptor: Int32, to size: Int) throws(FileSystemError)
    /// Gives an open file these permissions, whatever the umask.
    func setPermissions(_ descriptor: Int32, _ permissions: UInt32) throws(FileSystemError)
    /// Locks an open file against other processes until it is closed or the process dies; false when another has it.
    func lock(_ descriptor: Int32) throws(FileSystemError) -> Bool
    /// What an open descriptor refers to.
    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus
    /// What is at a path; a symbolic link at its end is followed or not.
    func status(_ path: FilePath, followLinks: Bool) throws(FileSystemError) -> FileStatus
    /// Where a symbolic link leads, as it says itself.
    func target(ofLink path: FilePath) throws(FileSystemError) -> FilePath
    /// Makes a directory that must not be there yet.
    func makeDirectory(_ path: FilePath) throws(FileSystemError)
    /// Renames in one step.
    func rename(_ from: FilePath, to: FilePath, _ mode: RenameMode) throws(FileSystemError)
    /// Removes a file or a link.
    func removeFile(_ path: FilePath) throws(FileSystemError)
    /// Removes an empty directory.
    func removeDirectory(_ path: FilePath) throws(FileSystemError)
    /// The names in a directory, without `.` and `..`, sorted byte by byte.
    func names(in directory: FilePath) throws(FileSystemError) -> [FilePath.Component]
    /// Bytes that may still be written where `path` is.
    func freeBytes(at path: FilePath) throws(FileSystemError) -> Int
}

/// How a file is opened. Reading follows a symbolic link only where it is asked to, and `append` always.
package enum FileAccess: Equatable, Sendable {
    /// For reading; never blocks on a FIFO.
    case read(followLinks: Bool)
    /// A pipe or device to read from start to end; waits until there is a writer.
    case stream
    /// A directory, to put its entries on the disk.
    case directory
    /// A new file for writing and reading back, which must not be there yet.
    case create
    /// A file for reading and for writing at its end, made when missing.
    case append
    /// A file for reading and writing, made when missing.
    case lockFile
}

/// What a rename does when the new name is taken.
package enum RenameMode: Equatable, Sendable {
    /// Fails. Not every file system can do this.
    case noReplace
    /// Fails when the new name is a directory that is not empty, and replaces it otherwise. They all can do this.
    case plain
    /// Swaps the two. Not every file system can do this.
    case exchange
}

/// What a path or descriptor refers to.
package struct FileStatus: Equatable, Sendable {
    /// The kinds that matter here.
    package enum Kind: String, Sendable {
        case file = "a file"
        case directory = "a directory"
        case symbolicLink = "a symbolic link"
        case pipe = "a pipe"
        case other = "a device or socket"
    }

    /// Tells whether two paths lead to the same thing.
    package struct Identity: Hashable, Sendable {
        let device: UInt64
        let number: UInt64

        package init(device: UInt64 = 0, number: UInt64 = 0) {
            self.device = device
            self.number = number
        }
    }

    package let kind: Kind
    /// Bytes of a file.
    package let size: Int
    /// The twelve bits of `chmod`.
    package let permissions: UInt32
    package let identity: Identity
    /// When the contents last changed, in nanoseconds since 1970.
    package let modified: Int

    package init(
        kind: Kind, size: Int, permissions: UInt32 = 0o644, identity: Identity = Identity(), modified: Int = 0
    ) {
        self.kind = kind
        self.size = size
        self.permissions = permissions
        self.identity = identity
        self.modified = modified
    }
}
