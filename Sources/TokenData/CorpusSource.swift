import Basics

/// One document of a corpus: a file, or what came through a pipe.
package struct CorpusDocument: Sendable {
    /// Its path, for messages.
    package let path: FilePath
    /// Its size in bytes.
    package let byteCount: Int
    /// A hash of its contents, by which it is drawn for validation.
    let contentHash: UInt64
    /// What it is one of: files with its ending, texts in its writing system.
    let kinds: [String]
    /// For a pipe: the file that holds what came through it.
    let spool: InputFile?

    func open() throws -> InputFile { try spool ?? InputFile(path) }
}

/// The documents that lie under the input paths.
package struct CorpusSource: Sendable {
    /// Files of one kind that the user should know of.
    package struct Remark: Sendable, Equatable {
        /// What they are, as in `3 broken links`.
        package let kind: String
        package fileprivate(set) var count: Int
        /// The first of them.
        package let example: FilePath
    }

    /// The documents in their order: the order of the inputs, directories sorted by name.
    package private(set) var documents: [CorpusDocument] = []
    /// What was left out, hidden files and the output folder apart.
    package private(set) var leftOut: [Remark] = []
    /// Documents that are taken as they are, but perhaps are not meant so.
    package private(set) var doubts: [Remark] = []

    private let output: CorpusOutput
    private let fileSystem = LocalFileSystem()
    private var seen: Set<FileStatus.Identity> = []

    /// Bytes of all documents together.
    package var byteCount: Int { documents.reduce(0) { $0 + $1.byteCount } }

    /// Finds and surveys the documents: each file is read once.
    ///
    /// - Parameters:
    ///   - paths: files, directories (taken recursively without hidden entries and links to directories), `-` for
    ///     standard input.
    ///   - output: is left out where it stands inside an input, so that no output becomes input. What comes through a
    ///     pipe is kept there while it is worked on, without a name.
    /// - Throws: exit code 66 for an input that is missing or cannot be read, 65 when no text is left.
    package init(paths: [FilePath], output: CorpusOutput) throws {
        self.output = output
        let kinds = try paths.map { $0 == "-" ? .pipe : try fileSystem.status($0, followLinks: true).kind }
        for (path, kind) in zip(paths, kinds) {
            switch kind {
            case .directory: try add(directory: path)
            case .file: try add(file: path, fileSystem.status(path, followLinks: true))
            default: try add(stream: path == "-" ? InputPipe() : InputPipe(path))
            }
        }
        guard !documents.isEmpty else {
            let names = paths.map { "'\($0.shown)'" }.joined(separator: ", ")
            var reasons = leftOut.map { "left out: \($0.count) \($0.kind)" }
            let isOutput = try zip(paths, kinds).contains {
                try $1 == .directory && output.identity() == fileSystem.status($0, followLinks: true).identity
            }
            if isOutput { reasons.append("'\(output.path.shown)' is the output folder, which is never input") }
            throw ExitError(
                .badInput, "no text in \(names)\(reasons.map { "; \($0)" }.joined()); give text files")
        }
    }

    private mutating func note(_ kind: String, _ path: FilePath, in list: WritableKeyPath<CorpusSource, [Remark]>) {
        if let place = self[keyPath: list].firstIndex(where: { $0.kind == kind }) {
            self[keyPath: list][place].count += 1
        } else {
            self[keyPath: list].append(Remark(kind: kind, count: 1, example: path))
        }
    }

    private mutating func add(directory: FilePath) throws {
        let identity = try fileSystem.status(directory, followLinks: true).identity
        guard try identity != output.identity(), seen.insert(identity).inserted else { return }
        for name in try fileSystem.names(in: directory) where !name.string.hasPrefix(".") {
            let path = directory.appending(name)
            let entry = try fileSystem.status(path, followLinks: false)
            guard let target = try? fileSystem.status(path, followLinks: true) else {
                note("broken links", path, in: \.leftOut)
                continue
            }
            switch target.kind {
            case .directory where entry.kind == .directory: try add(directory: path)
            // One could lead round in a circle.
            case .directory: note("links to folders", path, in: \.leftOut)
            case .file: try add(file: path, target)
            default: note("pipes, sockets or devices", path, in: \.leftOut)
            }
        }
    }

    private mutating func add(file path: FilePath, _ status: FileStatus) throws {
        guard seen.insert(status.identity).inserted else { return note("given twice", path, in: \.leftOut) }
        try survey(InputFile(path), path, spool: nil)
    }

    /// Keeps what a pipe brings in a file without a name, so that it can be read more than once.
    private mutating func add(stream: InputPipe) throws {
        let spool = try output.spool()
        while true {
            let bytes = try stream.next(1 << 20)
            if bytes.isEmpty { break }
            try spool.append(bytes.span.bytes)
            // It is no text then, and a device such as /dev/zero has no end.
            if bytes.contains(0) { break }
        }
        let file = try spool.reading()
        try survey(file, stream.path, spool: file)
    }

    private mutating func survey(_ file: InputFile, _ path: FilePath, spool: InputFile?) throws {
        let survey = try DocumentSurvey(file)
        if let reason = survey.notText { return note(reason, path, in: \.leftOut) }
        if survey.byteCount == 0 { return note("empty", path, in: \.leftOut) }
        if !survey.isUTF8 {
            note("not UTF-8, taken byte by byte (Latin-1? iconv -f latin1 -t utf-8 converts it)", path, in: \.doubts)
        }
        let ending = path.extension.map { printable($0, limit: 16) }
        if let ending, ["json", "jsonl", "ndjson", "csv", "tsv"].contains(ending.lowercased()) {
            note(".\(ending), taken as prose with its quotes and names (write the text out first)", path, in: \.doubts)
        }
        let kinds =
            (spool == nil ? [ending.map { ".\($0) files" } ?? "files without an ending"] : [])
            + (survey.script.map { ["text in \($0) script"] } ?? [])
        documents.append(
            CorpusDocument(
                path: path, byteCount: survey.byteCount, contentHash: survey.hash.value, kinds: kinds, spool: spool))
    }
}
