import Basics

/// The folder that a tokenizer and shards go into: `tokenizer.json`, `train_000000.bin`, …, `val_000000.bin`, …
///
/// It is made when it is first needed. Files stand in it under hidden names until all are complete.
package struct CorpusOutput: Sendable {
    /// The folder.
    package let path: FilePath
    /// Whether an earlier corpus there gives way.
    let overwrites: Bool
    let fileSystem: any FileSystem

    package init(path: FilePath, overwrites: Bool = false, fileSystem: any FileSystem = LocalFileSystem()) {
        self.path = path
        self.overwrites = overwrites
        self.fileSystem = fileSystem
    }

    /// Tells whether another path leads there; nil while it does not exist.
    func identity() throws -> FileStatus.Identity? {
        do {
            return try fileSystem.status(path, followLinks: true).identity
        } catch  where error.isNotFound {
            return nil
        }
    }

    /// Checks that no other corpus is there, unless it may be overwritten.
    ///
    /// - Parameter tokenizer: the one that will be used: its own file may be there.
    /// - Throws: exit code 73, naming what is there.
    package func requireFree(for tokenizer: Tokenizer?) throws {
        guard !overwrites, try identity() != nil else { return }
        var names = try corpusFiles().map(\.string)
        if names == ["tokenizer.json"], let tokenizer, let there = try? Tokenizer(path: path),
            try there.identity() == tokenizer.identity()
        {
            names = []
        }
        guard let first = names.first else { return }
        let others = names.count > 2 ? ", …, \(names[names.count - 1])" : names.count == 2 ? ", \(names[1])" : ""
        throw ExitError(
            .cannotCreate,
            "'\(path.shown)' holds a corpus already (\(first)\(others)); give --overwrite to replace it, or another "
                + "--output")
    }

    /// Makes the folder.
    func make() throws {
        do throws(FileSystemError) {
            try fileSystem.makeDirectories(path)
        } catch {
            throw ExitError(.cannotCreate, "\(error); choose another --output")
        }
    }

    /// A file without a name.
    func spool() throws -> OutputFile {
        try make()
        let path = try partial("input")
        let file = try OutputFile(creating: path, fileSystem: fileSystem)
        try fileSystem.removeFile(path)
        return file
    }

    /// Writes a file under its hidden name.
    func write(_ name: String, _ contents: [UInt8]) throws { try fileSystem.makeFile(partial(name), contents) }

    /// Removes a hidden file if it is still there.
    func discard(_ name: String) { _ = try? partial(name) }

    /// Gives a file its name; returns its path.
    @discardableResult
    func publish(_ name: String) throws -> FilePath {
        try fileSystem.rename(hidden(name), to: path.appending(name), .plain)
        return path.appending(name)
    }

    /// Puts the folder on the disk; returns a warning where its file system cannot do that.
    func synchronize() throws -> String? {
        try fileSystem.synchronizeDirectory(path).map { "\($0): a power cut may lose the new corpus" }
    }

    /// Where a file stands until it has its name.
    func hidden(_ name: String) -> FilePath { path.appending(".\(name).partial") }

    /// The same path, at which nothing is.
    private func partial(_ name: String) throws -> FilePath {
        do { try fileSystem.removeFile(hidden(name)) } catch { if !error.isNotFound { throw error } }
        return hidden(name)
    }

    /// Removes the files of an earlier corpus, `tokenizer.json` first: without it the folder does not count as whole.
    /// Returns how many there were.
    func removeOldCorpus() throws -> Int {
        let names = try corpusFiles()
        for name in names { try fileSystem.removeFile(path.appending(name)) }
        return names.count
    }

    /// Removes what a run that was killed has left.
    func removePartialFiles() throws {
        for name in try fileSystem.names(in: path).map(\.string)
        where name.hasPrefix(".") && name.hasSuffix(".partial") && Self.isShardName(name.dropFirst().dropLast(8)) {
            try fileSystem.removeFile(path.appending(name))
        }
    }

    private func corpusFiles() throws -> [FilePath.Component] {
        let names = try fileSystem.names(in: path)
        return names.filter { $0.string == "tokenizer.json" } + names.filter { Self.isShardName($0.string[...]) }
    }

    /// Whether a name is `train_` or `val_`, digits, `.bin`.
    private static func isShardName(_ name: Substring) -> Bool {
        guard let prefix = ["train_", "val_"].first(where: { name.hasPrefix($0) }), name.hasSuffix(".bin") else {
            return false
        }
        let digits = name.dropFirst(prefix.count).dropLast(4)
        return digits.count >= 6 && digits.allSatisfy { ("0"..."9").contains($0) }
    }
}
