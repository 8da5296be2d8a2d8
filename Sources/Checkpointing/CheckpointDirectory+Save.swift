import Basics
import Glibc

/// A file of a checkpoint that is to be written.
package struct CheckpointFile {
    /// Where the bytes come from.
    package enum Content {
        case bytes([UInt8])
        /// A safetensors file.
        case tensors([TensorSource])
    }

    /// A plain name, such as `model.safetensors`.
    package let name: String
    package let content: Content

    package init(name: String, content: Content) {
        self.name = name
        self.content = content
    }

    /// Bytes that it will have.
    package func size() throws -> Int {
        switch content {
        case .bytes(let bytes): bytes.count
        case .tensors(let tensors): try SafetensorsWriter.fileSize(tensors)
        }
    }
}

/// A checkpoint that is on the disk for good: the only thing that lets older ones be removed.
package struct SavedCheckpoint: Equatable, Sendable {
    /// Such as `step-00000100`.
    package let name: String
    package let step: Int
    /// The directory.
    package let path: FilePath
    /// Size and SHA-256 of every file.
    package let manifest: Manifest
    /// Things that went wrong and do not matter for the promise, such as a leftover that could not be removed.
    package let warnings: [String]
}

extension CheckpointDirectory {
    /// Saves a checkpoint; when this returns, no kill and no power cut loses it.
    ///
    /// All files go to a temporary directory and to the disk, the manifest last; one rename makes the checkpoint
    /// appear, and the parent directory is put on the disk after it. A checkpoint of the same step that is there
    /// already is kept when it holds the same bytes and verifies, and is swapped out in one step otherwise.
    ///
    /// Throws 74, with everything that was there before untouched, or saying that the checkpoint is in place but must
    /// not be relied on. Needs the run directory's lock.
    ///
    /// - Parameter keep: how many will be kept after it. Where the disk is too full for the new one, those beyond that
    ///   number go before the save and not after it, but never the newest, and only when that one verifies.
    /// - Parameter best: the step of one that stays in any case.
    package func save(
        step: Int, files: [CheckpointFile], keep: Int = .max, best: Int? = nil
    ) throws -> SavedCheckpoint {
        precondition((0...999_999_999_999).contains(step), "a checkpoint's name holds a step of 12 digits")
        precondition(files.allSatisfy { Manifest.isPlainName($0.name) }, "a checkpoint holds plain file names")
        let temporary = path.appending(CheckpointName.temporary(step: step))
        let manifest: Manifest
        let replaced: FilePath?
        let need = files.reduce(0) { $0 + ((try? $1.size()) ?? 0) }
        let removed = makeRoom(for: need, step: step, keep: keep, best: best)
        do {
            manifest = try WorkProgress.during(
                "saving \(CheckpointName.directory(step: step))", of: need, .bytesWritten
            ) { try write(files, step: step, to: temporary) }
            replaced = try place(temporary, step: step, manifest: manifest)
        } catch {
            discard(temporary)
            throw notSaved(step: step, need: need, error)
        }
        do throws(FileSystemError) {
            try fileSystem.synchronizeDirectory(path)
        } catch {
            throw ExitError(
                .writeFailed,
                "checkpoint \(CheckpointName.directory(step: step)) is in place, but may not survive a power cut: "
                    + "\(error); older checkpoints are kept, check the disk")
        }
        var warnings = removed.map { "checkpoint \($0) was removed before this save, since the disk is full" }
        if let replaced, !discard(replaced) {
            warnings.append("\(replaced.shown) could not be removed")
        }
        let name = CheckpointName.directory(step: step)
        return SavedCheckpoint(
            name: name, step: step, path: path.appending(name), manifest: manifest, warnings: warnings)
    }

    /// Writes all files and, last, the manifest into a new directory, each put on the disk.
    private func write(_ files: [CheckpointFile], step: Int, to directory: FilePath) throws -> Manifest {
        try fileSystem.makeDirectory(directory)
        var entries: [Manifest.File] = []
        for file in files {
            let output = try HashedOutput(directory.appending(file.name), fileSystem: fileSystem)
            switch file.content {
            case .bytes(let bytes): try output.append(bytes.span.bytes)
            case .tensors(let tensors): try SafetensorsWriter.write(tensors) { try output.append($0) }
            }
            entries.append(try output.finish(name: file.name))
        }
        let manifest = Manifest(step: step, files: entries)
        let output = try HashedOutput(directory.appending(Manifest.fileName), fileSystem: fileSystem)
        try output.append(manifest.json().span.bytes)
        _ = try output.finish(name: Manifest.fileName)
        try fileSystem.synchronizeDirectory(directory)
        return manifest
    }

    /// Gives the finished directory its name, in one step; returns what is to be removed once it is durable.
    private func place(_ temporary: FilePath, step: Int, manifest: Manifest) throws -> FilePath? {
        let target = path.appending(CheckpointName.directory(step: step))
        if (try? fileSystem.status(target, followLinks: false)) == nil {
            do throws(FileSystemError) {
                try fileSystem.rename(temporary, to: target, .noReplace)
            } catch {
                guard error.isUnsupported else { throw error }
                // The run directory's lock keeps others away, and this never replaces a directory with files in it.
                try fileSystem.rename(temporary, to: target, .plain)
            }
            return nil
        }
        if let old = try? Checkpoint(verifying: target, fileSystem: fileSystem), old.manifest == manifest {
            return temporary
        }
        do throws(FileSystemError) {
            try fileSystem.rename(temporary, to: target, .exchange)
            return temporary
        } catch {
            guard error.isUnsupported else { throw error }
            let trash = path.appending(CheckpointName.trash(step: step))
            try fileSystem.rename(target, to: trash, .plain)
            do {
                try fileSystem.rename(temporary, to: target, .plain)
            } catch {
                try? fileSystem.rename(trash, to: target, .plain)
                throw error
            }
            return trash
        }
    }

    /// The error of a save that changed nothing, with what the user needs to go on.
    private func notSaved(step: Int, need: Int, _ error: any Error) -> ExitError {
        var reason = "\(error)"
        if let error = error as? FileSystemError, error.isOutOfSpace {
            // A quota or a limit on files leaves the file system's own room as it is.
            let free = error.code == ENOSPC && !error.lacksInodes ? try? fileSystem.freeBytes(at: path) : nil
            reason += " (need \(need) bytes\(free.map { ", free \($0)" } ?? ""))"
        }
        let previous = (try? complete(below: step))?.first.map { "\($0.name) is kept" } ?? "there is no earlier one"
        return ExitError(
            .writeFailed, "checkpoint \(CheckpointName.directory(step: step)) not saved: \(reason); \(previous)")
    }
}

/// A new file that is written once, from its start to its end, and hashed in the same pass.
private struct HashedOutput {
    private let file: OutputFile
    private let digest: SHA256

    init(_ path: FilePath, fileSystem: any FileSystem) throws {
        digest = try SHA256()
        file = try OutputFile(creating: path, fileSystem: fileSystem)
    }

    func append(_ bytes: RawSpan) throws {
        try file.append(bytes)
        try digest.update(bytes)
    }

    /// Puts the file on the disk and closes it. Called once.
    func finish(name: String) throws -> Manifest.File {
        try file.synchronize()
        try file.close()
        return Manifest.File(name: name, size: file.size, sha256: try digest.value())
    }
}
