/// A file of a checkpoint that is to be written.
public struct CheckpointFile {
    /// Where the bytes come from.
    public enum Content {
        case bytes([UInt8])
        /// A safetensors file.
        case tensors([TensorSource])
    }

    /// A plain name, such as `model.safetensors`.
    public let name: String
    public let content: Content

    public init(name: String, content: Content) {
        self.name = name
        self.content = content
    }

    /// Bytes that it will have.
    public func size() throws(CheckpointError) -> Int {
        switch content {
        case .bytes(let bytes): bytes.count
        case .tensors(let tensors): try SafetensorsWriter.fileSize(tensors)
        }
    }
}

/// A checkpoint that is on the disk for good: the only thing that lets older ones be removed.
public struct SavedCheckpoint: Equatable, Sendable {
    /// Such as `step-00000100`.
    public let name: String
    public let step: Int
    /// The directory.
    public let path: String
    /// Bytes of all files.
    public let size: Int
    /// Size and SHA-256 of every file.
    public let manifest: Manifest
    /// Things that went wrong and do not matter for the promise, such as a leftover that could not be removed.
    public let warnings: [String]
}

extension CheckpointDirectory {
    /// Saves a checkpoint; when this returns, no kill and no power cut loses it.
    ///
    /// All files go to a temporary directory and to the disk, the manifest last; one rename makes the checkpoint
    /// appear, and the parent directory is put on the disk after it. A checkpoint of the same step that is there
    /// already is kept when it holds the same bytes and verifies, and is swapped out in one step otherwise.
    ///
    /// Throws `.notCommitted`, with everything that was there before untouched, or `.durabilityUncertain`: the
    /// checkpoint is in place but must not be relied on. Needs the run directory's lock.
    public func save(step: Int, files: [CheckpointFile]) throws(CheckpointError) -> SavedCheckpoint {
        precondition((0...999_999_999_999).contains(step), "a checkpoint's name holds a step of 12 digits")
        precondition(files.allSatisfy { Manifest.isPlainName($0.name) }, "a checkpoint holds plain file names")
        let temporary = path + "/" + CheckpointName.temporary(step: step)
        let manifest: Manifest
        let outcome: Placement
        do {
            manifest = try write(files, step: step, to: temporary)
            outcome = try place(temporary, step: step, manifest: manifest)
        } catch {
            discard(temporary)
            throw notSaved(step: step, files: files, error)
        }
        do {
            try synchronizeDirectory(path)
        } catch {
            throw CheckpointError(
                .durabilityUncertain,
                "checkpoint \(CheckpointName.directory(step: step)) is in place, but may not survive a power cut: "
                    + "\(error); older checkpoints are kept, check the disk")
        }
        var warnings: [String] = []
        if let replaced = outcome.replaced, !discard(replaced) { warnings.append("\(replaced) could not be removed") }
        let name = CheckpointName.directory(step: step)
        return SavedCheckpoint(
            name: name, step: step, path: path + "/" + name, size: manifest.files.reduce(0) { $0 + $1.size },
            manifest: manifest, warnings: warnings)
    }

    /// Writes all files and, last, the manifest into a new directory, each put on the disk.
    private func write(_ files: [CheckpointFile], step: Int, to directory: String) throws -> Manifest {
        try fileSystem.makeDirectory(directory)
        var entries: [Manifest.File] = []
        for file in files {
            let output = try OutputFile(path: directory + "/" + file.name, fileSystem: fileSystem)
            switch file.content {
            case .bytes(let bytes): try output.append(bytes.span.bytes)
            case .tensors(let tensors): try SafetensorsWriter.write(tensors) { try output.append($0) }
            }
            let summary = try output.finish()
            entries.append(Manifest.File(name: file.name, size: summary.size, sha256: summary.sha256))
        }
        let manifest = Manifest(step: step, files: entries)
        let output = try OutputFile(path: directory + "/" + Manifest.fileName, fileSystem: fileSystem)
        try output.append(manifest.json().span.bytes)
        _ = try output.finish()
        try synchronizeDirectory(directory)
        return manifest
    }

    private struct Placement {
        /// What is to be removed once the new checkpoint is durable.
        var replaced: String?
    }

    /// Gives the finished directory its name, in one step.
    private func place(_ temporary: String, step: Int, manifest: Manifest) throws -> Placement {
        let target = path + "/" + CheckpointName.directory(step: step)
        if (try? fileSystem.status(path: target)) == nil {
            do {
                try fileSystem.rename(temporary, to: target, .noReplace)
            } catch  where error.isUnsupported {
                // The run directory's lock keeps others away, and this never replaces a directory with files in it.
                try fileSystem.rename(temporary, to: target, .plain)
            }
            return Placement()
        }
        if let old = try? Checkpoint(verifying: target, fileSystem: fileSystem), old.manifest == manifest {
            return Placement(replaced: temporary)
        }
        do {
            try fileSystem.rename(temporary, to: target, .exchange)
            return Placement(replaced: temporary)
        } catch  where error.isUnsupported {
            let trash = path + "/" + CheckpointName.trash(step: step)
            try fileSystem.rename(target, to: trash, .plain)
            do {
                try fileSystem.rename(temporary, to: target, .plain)
            } catch {
                try? fileSystem.rename(trash, to: target, .plain)
                throw error
            }
            return Placement(replaced: trash)
        }
    }

    /// Puts a directory's entries on the disk.
    func synchronizeDirectory(_ directory: String) throws {
        let descriptor = try fileSystem.open(directory, .directory)
        do {
            try fileSystem.synchronize(descriptor)
        } catch {
            try? fileSystem.close(descriptor)
            throw FileSystemError(operation: "fsync", path: directory, code: error.code)
        }
        try fileSystem.close(descriptor)
    }

    /// The error of a save that changed nothing, with what the user needs to go on.
    private func notSaved(step: Int, files: [CheckpointFile], _ error: any Error) -> CheckpointError {
        var reason = (error as? CheckpointError)?.message ?? "\(error)"
        if let error = error as? FileSystemError, error.isOutOfSpace {
            let need = files.reduce(0) { $0 + ((try? $1.size()) ?? 0) }
            let free = (try? fileSystem.freeBytes(at: path)).map { "\($0)" } ?? "unknown"
            reason += " (need \(need) bytes, free \(free))"
        }
        let previous = newestComplete(below: step).map { "\($0.name) is kept" } ?? "there is no earlier one"
        return CheckpointError(
            .notCommitted, "checkpoint \(CheckpointName.directory(step: step)) not saved: \(reason); \(previous)")
    }
}
