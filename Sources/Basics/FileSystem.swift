import SystemPackage

/// A path as the system has it: bytes, in which only `/` and NUL mean anything.
package typealias FilePath = SystemPackage.FilePath

/// An open file or directory.
package struct OpenFile: Hashable, Sendable {
    /// The system's number for it.
    package let descriptor: Int32
    /// The path as it was given, for errors.
    package let path: FilePath

    package init(_ descriptor: Int32, _ path: FilePath) {
        self.descriptor = descriptor
        self.path = path
    }
}

/// Every operation on disk that this program does. The seam that lets a test fail any one of them, cut the power after
/// it, or count them.
///
/// Files are made for reading and writing by everyone, directories with all rights; the user's umask takes from that.
package protocol FileSystem: Sendable {
    /// Opens a file; the caller closes it.
    func open(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> OpenFile
    /// Closes a file. An error can be the first word of a failed write.
    func close(_ file: OpenFile) throws(FileSystemError)
    /// Reads at most `part.count` bytes into that part of `bytes`, from `offset` in the file, or what comes next in a
    /// stream where `offset` is nil; 0 is the end.
    func read(
        _ file: OpenFile, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int?
    ) throws(FileSystemError) -> Int
    /// Writes at `offset`, or where the last write ended where that is nil; may take fewer bytes than it was given.
    func write(_ file: OpenFile, _ bytes: RawSpan, at offset: Int?) throws(FileSystemError) -> Int
    /// Puts a file or directory on the disk itself. After an error the data must be taken as lost: never retried.
    func synchronize(_ file: OpenFile) throws(FileSystemError)
    /// Cuts an open file to `size` bytes.
    func truncate(_ file: OpenFile, to size: Int) throws(FileSystemError)
    /// Gives an open file these permissions, whatever the umask.
    func setPermissions(_ file: OpenFile, _ permissions: UInt32) throws(FileSystemError)
    /// Locks an open file against other processes until it is closed or the process dies; false when another has it.
    func lock(_ file: OpenFile) throws(FileSystemError) -> Bool
    /// What was opened.
    func status(_ file: OpenFile) throws(FileSystemError) -> FileStatus
    /// What is at a path; a symbolic link at its end is followed or not.
    func status(_ path: FilePath, followLinks: Bool) throws(FileSystemError) -> FileStatus
    /// Where a symbolic link leads, as it says itself.
    func target(ofLink path: FilePath) throws(FileSystemError) -> FilePath
    /// Makes a symbolic link of a name that must not be there yet; whether its target is there does not matter.
    func makeLink(_ path: FilePath, to target: FilePath) throws(FileSystemError)
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
/// Raw values are the kernel's flags.
package enum RenameMode: UInt32, Sendable {
    /// Fails when the new name is a directory that is not empty, and replaces it otherwise. Every file system can.
    case plain = 0
    /// Fails. Not every file system can do this.
    case noReplace = 1
    /// Swaps the two. Not every file system can do this.
    case exchange = 2
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
        var device: UInt64 = 0
        var number: UInt64 = 0
    }

    package let kind: Kind
    /// Bytes of a file.
    package let size: Int
    /// The twelve bits of `chmod`.
    package var permissions: UInt32 = 0o644
    package var identity = Identity()
    /// When the contents last changed, in nanoseconds since 1970.
    package var modified = 0

    package init(kind: Kind, size: Int) {
        self.kind = kind
        self.size = size
    }
}
