import Basics

/// A checkpoint directory that was read: its manifest, and its files once they were verified.
package struct Checkpoint: Sendable {
    /// The files that every checkpoint has.
    package enum FileName {
        package static let model = "model.safetensors"
        package static let optimizer = "optimizer.safetensors"
        package static let state = "trainer_state.json"
        package static let configuration = "config.json"
        package static let tokenizer = "tokenizer.json"
        static let required = [model, optimizer, state, configuration]
    }

    /// The directory.
    package let path: FilePath
    package let manifest: Manifest
    /// Step, position, schedule and all else that is no tensor.
    package let state: TrainerState
    /// The weights.
    package let model: SafetensorsFile
    /// The optimizer's moments: `exp_avg.NAME` and `exp_avg_sq.NAME` for every `NAME` of `model`.
    package let optimizer: SafetensorsFile
    private let files: [String: InputFile]

    /// Reads a checkpoint and verifies every file: there, regular, of the size and SHA-256 that the manifest says.
    /// The files stay open, so what was verified is what is read later, also when the checkpoint is removed meanwhile.
    ///
    /// A symbolic link may stand for the directory, but not for a file in it. Throws 66 when there is no such
    /// directory or a file cannot be read, 65 naming file, expected and found otherwise.
    package init(verifying path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let manifest = try Self.manifest(of: path, fileSystem: fileSystem)
        var files: [String: InputFile] = [:]
        try WorkProgress.during("verifying \(manifest.shownName)", of: manifest.byteCount, .bytesRead) {
            for entry in manifest.files {
                files[entry.name] = try Self.verify(entry, in: path, fileSystem: fileSystem)
            }
        }
        guard let stateFile = files[FileName.state], let modelFile = files[FileName.model],
            let optimizerFile = files[FileName.optimizer]
        else {
            throw ExitError(.badInput, "\(path.shown)/\(Manifest.fileName) lists no state, model or optimizer")
        }
        let bytes = try stateFile.contents(limit: TrainerState.sizeLimit)
        let state = try TrainerState(json: bytes, file: stateFile.path.shown)
        guard state.step == manifest.step else {
            throw ExitError(
                .badInput, "\(stateFile.path.shown) is of step \(state.step), expected \(manifest.step)")
        }
        self.path = path
        self.manifest = manifest
        self.state = state
        model = try SafetensorsFile(modelFile)
        optimizer = try SafetensorsFile(optimizerFile)
        self.files = files
    }

    /// The bytes of a further file of the checkpoint, such as `tokenizer.json`, or nil when it has none.
    package func contents(of name: String, limit: Int = 64 << 20) throws -> [UInt8]? {
        guard let file = files[name] else { return nil }
        return try file.contents(limit: limit)
    }

    /// Reads the manifest alone and checks names and steps, but no file's bytes.
    static func manifest(of path: FilePath, fileSystem: any FileSystem) throws -> Manifest {
        let kind = try fileSystem.status(path, followLinks: true).kind
        let isLink = try fileSystem.status(path, followLinks: false).kind == .symbolicLink
        guard kind == .directory else {
            throw ExitError(.badInput, "\(path.shown) is \(kind.rawValue), expected a checkpoint directory")
        }
        let bytes = try inside(path) {
            try InputFile(path.appending(Manifest.fileName), followLinks: false, fileSystem: fileSystem)
                .contents(limit: Manifest.sizeLimit)
        }
        let file = path.appending(Manifest.fileName).shown
        let manifest = try Manifest(json: bytes, path: file)
        for name in FileName.required where manifest.file(name) == nil {
            throw ExitError(.badInput, "\(file) does not list \(name)")
        }
        let name = path.lastComponent?.string ?? ""
        if !isLink, let step = CheckpointName.step(name), step != manifest.step {
            throw ExitError(.badInput, "\(file) is of step \(manifest.step), but the directory is \(name)")
        }
        return manifest
    }

    /// Opens one file and compares its size and SHA-256 with the manifest's.
    static func verify(_ entry: Manifest.File, in directory: FilePath, fileSystem: any FileSystem) throws -> InputFile {
        let file = try inside(directory) {
            try InputFile(directory.appending(entry.name), followLinks: false, fileSystem: fileSystem)
        }
        let name = file.path.shown
        guard file.size == entry.size else {
            throw ExitError(
                .badInput, "\(name) has \(file.size) bytes, expected \(entry.size); the checkpoint is damaged")
        }
        let hash = try SHA256.hash(file)
        guard hash == entry.sha256 else {
            throw ExitError(
                .badInput, "\(name) has SHA-256 \(hash), expected \(entry.sha256); the checkpoint is damaged")
        }
        return file
    }

    /// A file that is missing in a checkpoint makes it a broken one. One that cannot be read for another reason says
    /// nothing about the checkpoint.
    private static func inside<Result>(_ path: FilePath, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as FileSystemError where error.isNotFound || error.exitCode == .badInput {
            throw ExitError(.badInput, "\(path.shown) is no whole checkpoint: \(error)")
        }
    }
}

extension Checkpoint {
    /// Every file that the manifest lists and what is wrong with it, nil when it verifies; empty when the manifest
    /// itself cannot be read. For showing a checkpoint that does not verify.
    package static func examine(
        _ path: FilePath, fileSystem: any FileSystem = LocalFileSystem()
    ) -> [(name: String, problem: String?)] {
        guard let manifest = try? manifest(of: path, fileSystem: fileSystem) else { return [] }
        return WorkProgress.during("verifying \(manifest.shownName)", of: manifest.byteCount, .bytesRead) {
            manifest.files.map { entry in
                do {
                    _ = try verify(entry, in: path, fileSystem: fileSystem)
                    return (entry.name, nil)
                } catch {
                    return (entry.name, "\(error)")
                }
            }
        }
    }
}

extension Manifest {
    /// Of all files.
    fileprivate var byteCount: Int { files.reduce(0) { $0 + $1.size } }
    /// What the checkpoint is called, for people.
    fileprivate var shownName: String { CheckpointName.directory(step: step) }
}
