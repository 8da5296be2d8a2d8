import Basics

/// The `--output` of a command that writes one page or picture: a file, or `-` for standard output.
struct OutputTarget {
    /// Nil: standard output.
    let path: FilePath?

    /// Endings that promise a format to whoever opens the file.
    private static let known = [
        "svg", "html", "htm", "png", "jpg", "jpeg", "gif", "webp", "pdf", "ps", "eps", "csv", "json", "jsonl", "md",
    ]

    /// Says before the work whether this can be what is written to.
    /// - Parameters:
    ///   - endings: of names that promise what the command writes.
    ///   - example: a name to give instead.
    /// - Throws: `ExitError`: 64 for a name that promises another format, 73 for a directory.
    init(_ text: String, endings: [String], example: String) throws(ExitError) {
        guard text != "-" else {
            path = nil
            return
        }
        let path = try FilePath(argument: text)
        if let ending = path.extension?.lowercased(), Self.known.contains(ending), !endings.contains(ending) {
            throw ExitError(
                .usage,
                "--output is \(path.shown), but what is written is \(endings[0].uppercased()); "
                    + "give a name such as \(example)")
        }
        if (try? LocalFileSystem().status(path, followLinks: true).kind) == .directory {
            throw ExitError(
                .cannotCreate,
                "--output \(path.shown) is a directory; give a file, such as \(path.appending(example).shown)")
        }
        self.path = path
    }

    /// Puts all of it there.
    func write(_ bytes: [UInt8]) throws {
        guard let path else { return try StandardStreams.write(bytes) }
        try LocalFileSystem().replaceFile(path, with: bytes)
    }
}
