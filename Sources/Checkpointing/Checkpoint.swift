/// A checkpoint directory that was read: its manifest, and its files once they were verified.
public struct Checkpoint: Sendable {
    /// The files that every checkpoint has.
    public enum FileName {
        public static let model = "model.safetensors"
        public static let optimizer = "optimizer.safetensors"
        public static let state = "trainer_state.json"
        public static let configuration = "config.json"
        public static let tokenizer = "tokenizer.json"
        static let required = [model, optimizer, state, configuration]
    }

    /// The directory.
    public let path: String
    /// Its last component, such as `step-00000100`.
    public var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    public let manifest: Manifest
    /// Step, position, schedule and all else that is no tensor.
    public let state: TrainerState
    /// The weights.
    public let model: SafetensorsFile
    /// The optimizer's moments: `exp_avg.NAME` and `exp_avg_sq.NAME` for every `NAME` of `model`.
    public let optimizer: SafetensorsFile
    private let files: [String: InputFile]

    /// Reads a checkpoint and verifies every file: there, regular, of the size and SHA-256 that the manifest says.
    /// The files stay open, so what was verified is what is read later.
    ///
    /// Throws `.missing` when there is no such directory, `.invalid` naming file, expected and found otherwise.
    public init(verifying path: String, fileSystem: any FileSystem = LocalFileSystem()) throws(CheckpointError) {
        let manifest = try Self.manifest(of: path, fileSystem: fileSystem)
        var files: [String: InputFile] = [:]
        for entry in manifest.files {
            files[entry.name] = try Self.verify(entry, in: path, fileSystem: fileSystem)
        }
        guard let stateFile = files[FileName.state], let modelFile = files[FileName.model],
            let optimizerFile = files[FileName.optimizer]
        else { throw CheckpointError(.invalid, "\(path)/\(Manifest.fileName) lists no state, model or optimizer") }
        let state = try TrainerState(json: stateFile.contents(limit: 16 << 20), file: stateFile.path)
        guard state.step == manifest.step else {
            throw CheckpointError(.invalid, "\(stateFile.path) is of step \(state.step), expected \(manifest.step)")
        }
        self.path = path
        self.manifest = manifest
        self.state = state
        model = try SafetensorsFile(modelFile)
        optimizer = try SafetensorsFile(optimizerFile)
        self.files = files
    }

    /// The bytes of a further file of the checkpoint, such as `tokenizer.json`, or nil when it has none.
    public func contents(of name: String, limit: Int = 64 << 20) throws(CheckpointError) -> [UInt8]? {
        guard let file = files[name] else { return nil }
        return try file.contents(limit: limit)
    }

    /// Reads the manifest alone and checks names and steps, but no file's bytes.
    static func manifest(of path: String, fileSystem: any FileSystem) throws(CheckpointError) -> Manifest {
        let status: FileStatus
        do {
            status = try fileSystem.status(path: path)
        } catch {
            throw CheckpointError(.missing, "there is no checkpoint at \(path): \(systemErrorText(error.code))")
        }
        guard status.kind == .directory else {
            throw CheckpointError(
                .invalid, "\(path) is \(status.kind.rawValue), expected a checkpoint directory; links are not followed")
        }
        let file: InputFile
        do {
            file = try InputFile(path: path + "/" + Manifest.fileName, fileSystem: fileSystem)
        } catch {
            throw CheckpointError(.invalid, "\(path) is no finished checkpoint: \(error.message)")
        }
        let manifest = try Manifest(json: file.contents(limit: Manifest.sizeLimit), path: file.path)
        for name in FileName.required where manifest.file(name) == nil {
            throw CheckpointError(.invalid, "\(file.path) does not list \(name)")
        }
        let name = path.split(separator: "/").last ?? ""
        if let step = CheckpointName.step(name), step != manifest.step {
            throw CheckpointError(.invalid, "\(file.path) is of step \(manifest.step), but the directory is \(name)")
        }
        return manifest
    }

    /// Opens one file and compares its size and SHA-256 with the manifest's.
    static func verify(
        _ entry: Manifest.File, in directory: String, fileSystem: any FileSystem
    ) throws(CheckpointError) -> InputFile {
        let file: InputFile
        do {
            file = try InputFile(path: directory + "/" + entry.name, fileSystem: fileSystem)
        } catch {
            // Inside a checkpoint a missing file is a broken checkpoint.
            throw CheckpointError(.invalid, "the checkpoint is damaged: \(error.message)")
        }
        guard file.size == entry.size else {
            throw CheckpointError(
                .invalid, "\(file.path) has \(file.size) bytes, expected \(entry.size); the checkpoint is damaged")
        }
        let hash = try file.sha256()
        guard hash == entry.sha256 else {
            throw CheckpointError(
                .invalid, "\(file.path) has SHA-256 \(hash), expected \(entry.sha256); the checkpoint is damaged")
        }
        return file
    }
}

extension Checkpoint {
    /// Every file that the manifest lists and what is wrong with it, nil when it verifies; empty when the manifest
    /// itself cannot be read. For showing a checkpoint that does not verify.
    public static func examine(
        _ path: String, fileSystem: any FileSystem = LocalFileSystem()
    ) -> [(name: String, problem: String?)] {
        guard let manifest = try? manifest(of: path, fileSystem: fileSystem) else { return [] }
        var result: [(name: String, problem: String?)] = []
        for entry in manifest.files {
            var problem: String?
            do {
                _ = try verify(entry, in: path, fileSystem: fileSystem)
            } catch {
                problem = error.message
            }
            result.append((entry.name, problem))
        }
        return result
    }
}
