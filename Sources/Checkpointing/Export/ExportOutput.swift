import Basics
import Glibc

/// A file or a directory of files that appears under its name once it is whole and on the disk, where nothing was before.
package struct ExportOutput: Sendable {
    /// Where it will be.
    package let path: FilePath
    private let fileSystem: any FileSystem
    /// A sibling, under which it is written. One that a kill left behind gives way to the next.
    private let temporary: FilePath

    /// Checks that nothing is there yet.
    /// - Throws: `ExitError` (73) where something is.
    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws(ExitError) {
        self.path = path
        self.fileSystem = fileSystem
        temporary = path.parent.appending(".\(path.lastComponent?.string ?? "").partial")
        guard (try? fileSystem.status(path, followLinks: false)) == nil else { throw taken }
    }

    private var taken: ExitError {
        ExitError(.cannotCreate, "\(path.shown) is there already and is not replaced; choose another --output")
    }

    /// Writes a file.
    /// - Parameter body: is given what takes the file's bytes, piece by piece.
    /// - Throws: what `body` throws; 73 or 74 where writing fails. Nothing is left then.
    package func writeFile(_ body: (_ sink: (RawSpan) throws -> Void) throws -> Void) throws {
        try appear { try write(temporary, body) }
    }

    /// Writes a directory of files, each with its name and what writes it.
    /// - Throws: as `writeFile`.
    package func writeDirectory(_ files: [(name: String, body: (_ sink: (RawSpan) throws -> Void) throws -> Void)])
        throws
    {
        try appear {
            try fileSystem.makeDirectory(temporary)
            for file in files { try write(temporary.appending(file.name), file.body) }
            try fileSystem.synchronizeDirectory(temporary)
        }
    }

    private func write(_ path: FilePath, _ body: ((RawSpan) throws -> Void) throws -> Void) throws {
        let output = try OutputFile(creating: path, fileSystem: fileSystem)
        try body { try output.append($0) }
        try output.synchronize()
        try output.close()
    }

    private func appear(_ make: () throws -> Void) throws {
        discard()
        do {
            try make()
            try rename()
        } catch {
            discard()
            throw error
        }
        try fileSystem.synchronizeDirectory(path.parent)
    }

    private func rename() throws {
        do throws(FileSystemError) {
            try fileSystem.rename(temporary, to: path, .noReplace)
        } catch  where error.code == EEXIST {
            throw taken
        } catch  where error.isUnsupported {
            guard (try? fileSystem.status(path, followLinks: false)) == nil else { throw taken }
            try fileSystem.rename(temporary, to: path, .plain)
        }
    }

    private func discard() {
        guard let kind = try? fileSystem.status(temporary, followLinks: false).kind else { return }
        guard kind == .directory else {
            try? fileSystem.removeFile(temporary)
            return
        }
        for name in (try? fileSystem.names(in: temporary)) ?? [] {
            try? fileSystem.removeFile(temporary.appending(name))
        }
        try? fileSystem.removeDirectory(temporary)
    }
}

extension ExportOutput {
    /// Writes a model in llm.c's format.
    /// - Throws: as `writeFile`; `ExitError` (65) where llm.c has no such model, 64 where it has no such type.
    package func writeLlmc(_ files: any ModelFiles, as type: ExportedType) throws {
        try writeFile { try LlmcFormat.write(files, as: type, to: $0) }
    }
}
