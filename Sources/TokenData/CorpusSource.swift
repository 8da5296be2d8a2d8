import Glibc

/// One document of a corpus: a file, or what came through a pipe.
public struct CorpusDocument: Sendable {
    /// Its path, for messages; `-` for standard input.
    public let path: String
    /// Its size in bytes.
    public let byteCount: Int
    /// A hash of its contents, by which it is drawn for validation.
    let contentHash: UInt64
    /// For a pipe: the file that holds what came through it.
    let spool: SystemFile?

    func open() throws(TokenDataError) -> SystemFile {
        if let spool { return spool }
        return try SystemFile(reading: path)
    }
}

/// The documents that lie under the input paths.
public struct CorpusSource: Sendable {
    /// The documents in their order: the order of the inputs, directories sorted by name.
    public private(set) var documents: [CorpusDocument] = []
    /// Files that were left out because they hold a NUL byte, so are not text.
    public private(set) var binaryPaths: [String] = []
    /// How many files were left out because they are empty.
    public private(set) var emptyCount = 0
    /// How many files were left out because the same file came before.
    public private(set) var repeatedCount = 0
    /// How many directory entries were left out because they lead nowhere: broken links, names that are not UTF-8.
    public private(set) var unreachableCount = 0

    private var seen: Set<FileKey> = []

    private struct FileKey: Hashable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    /// Bytes of all documents together.
    public var byteCount: Int { documents.reduce(0) { $0 + $1.byteCount } }

    /// Finds and surveys the documents: each file is read once for NUL bytes and its hash.
    ///
    /// - Parameters:
    ///   - paths: files, directories (taken recursively without hidden entries and links to directories), `-`.
    ///   - outputDirectory: an existing directory that is left out where it stands inside an input, so that no output
    ///     becomes input; what comes through a pipe is kept there while it is worked on, without a name.
    /// - Throws: exit code 66 for an input that is missing or cannot be read, 65 when no text is left.
    public init(paths: [String], outputDirectory: String) throws(TokenDataError) {
        let output = try SystemFile(reading: outputDirectory).status()
        seen.insert(FileKey(output))
        for path in paths {
            if path == "-" {
                try add(stream: SystemFile(adopting: dup(STDIN_FILENO), path: "standard input"), outputDirectory)
                continue
            }
            var status = stat()
            guard stat(path, &status) == 0 else {
                throw TokenDataError(
                    .missingInput, "cannot read input '\(path)': \(SystemFile.lastError); give files or directories")
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try add(directory: path)
            case S_IFREG: try add(file: path, status)
            default: try add(stream: SystemFile(reading: path), outputDirectory)
            }
        }
        guard !documents.isEmpty else {
            let reason = "\(emptyCount) empty and \(binaryPaths.count) binary files were left out"
            throw TokenDataError(
                .badInput, "no text in \(paths.map { "'\($0)'" }.joined(separator: ", ")): \(reason); give text files")
        }
    }

    private mutating func add(directory: String) throws(TokenDataError) {
        guard try !seen.contains(FileKey(SystemFile(reading: directory).status())) else { return }
        let base = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        for name in try SystemFile.names(in: directory) where !name.hasPrefix(".") {
            let path = "\(base)/\(name)"
            var entry = stat()
            var target = stat()
            // A link that leads nowhere is not text; a link to a directory could lead round in a circle.
            guard lstat(path, &entry) == 0, stat(path, &target) == 0 else {
                unreachableCount += 1
                continue
            }
            switch target.st_mode & S_IFMT {
            case S_IFDIR where entry.st_mode & S_IFMT == S_IFDIR: try add(directory: path)
            case S_IFREG: try add(file: path, target)
            default: continue
            }
        }
    }

    private mutating func add(file path: String, _ status: stat) throws(TokenDataError) {
        guard seen.insert(FileKey(status)).inserted else {
            repeatedCount += 1
            return
        }
        try survey(SystemFile(reading: path), path, spool: nil)
    }

    /// Keeps what a pipe brings in a file without a name, so that it can be read more than once.
    private mutating func add(stream: SystemFile, _ directory: String) throws(TokenDataError) {
        let path = "\(directory)/.input.partial"
        let spool = try SystemFile(creating: path)
        unlink(path)
        while true {
            let bytes = try stream.nextBytes(count: 1 << 20)
            if bytes.isEmpty { break }
            try spool.write(bytes)
        }
        try survey(spool, stream.path, spool: spool)
    }

    private mutating func survey(_ file: SystemFile, _ path: String, spool: SystemFile?) throws(TokenDataError) {
        var hash = ContentHash()
        var count = 0
        while true {
            let bytes = try file.bytes(at: count, count: 1 << 20)
            if bytes.contains(0) {
                binaryPaths.append(path)
                return
            }
            hash.update(bytes)
            count += bytes.count
            if bytes.count < 1 << 20 { break }
        }
        if count == 0 {
            emptyCount += 1
        } else {
            documents.append(.init(path: path, byteCount: count, contentHash: hash.value, spool: spool))
        }
    }
}
