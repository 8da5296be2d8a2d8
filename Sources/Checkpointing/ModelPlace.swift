import Basics

/// What kind of directory a path leads to, in the order in which it is looked at: the one rule for all commands that
/// take a model. A link at the end of the path is followed.
package enum ModelPlace: Sendable {
    /// A run directory, or its `checkpoints`.
    case run(CheckpointDirectory)
    /// A directory that is a checkpoint, or has the name of one.
    case checkpoint(FilePath)
    /// A Hugging Face model directory.
    case model(FilePath)

    /// Throws 66 where there is nothing, 65 where it is none of these.
    package init(_ path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let kind = try fileSystem.status(path, followLinks: true).kind
        guard kind == .directory else {
            throw FileSystemError(path, problem: "is \(kind.rawValue), expected a run, checkpoint or model directory")
        }
        let names = Set(try fileSystem.names(in: path).map(\.string))
        if names.contains("checkpoints") {
            self = .run(CheckpointDirectory(path: path.appending("checkpoints"), fileSystem: fileSystem))
        } else if names.contains(Manifest.fileName) || CheckpointName.step(path.lastComponent?.string ?? "") != nil {
            self = .checkpoint(path)
        } else if path.lastComponent?.string == "checkpoints"
            || names.contains(where: { CheckpointName.step($0) != nil })
        {
            self = .run(CheckpointDirectory(path: path, fileSystem: fileSystem))
        } else if names.contains(Checkpoint.FileName.configuration) {
            self = .model(path)
        } else {
            throw ExitError(
                .badInput,
                "\(path.shown) is no run, checkpoint or model directory: it has no checkpoints, no \(Manifest.fileName) "
                    + "and no \(Checkpoint.FileName.configuration)")
        }
    }
}

/// A model to be used: a verified checkpoint, the newest one of a run, a Hugging Face directory, or a model file of llm.c.
package struct SavedModel: Sendable {
    /// Nil for a model from elsewhere.
    package let checkpoint: Checkpoint?
    /// The weights.
    package let files: any ModelFiles
    /// A line for every newer checkpoint of the run that does not verify.
    package let warnings: [String]
}

extension SavedModel {
    /// Finds and opens it. A checkpoint's files stay open, so that a run that removes it meanwhile takes nothing away.
    ///
    /// Throws 66 where there is none, 65 where it does not verify or fit.
    package init(_ path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        if try fileSystem.status(path, followLinks: true).kind == .file {
            try self.init(
                checkpoint: nil, files: LlmcModelFile(path: path, fileSystem: fileSystem), warnings: [])
            return
        }
        switch try ModelPlace(path, fileSystem: fileSystem) {
        case .run(let checkpoints):
            let found = try checkpoints.newestVerified()
            guard let newest = found.checkpoint else {
                throw found.warnings.isEmpty
                    ? ExitError(
                        .missingInput,
                        "\(path.shown) has no checkpoint yet; wait until the run has saved one, or send it SIGUSR1, "
                            + "which saves and stops it")
                    : ExitError(
                        .badInput,
                        "no checkpoint of \(path.shown) verifies; `swiftlet inspect \(path.shown)` says why")
            }
            try self.init(newest, warnings: found.warnings)
        case .checkpoint(let path):
            try self.init(Checkpoint(verifying: path, fileSystem: fileSystem))
        case .model(let path):
            try self.init(
                checkpoint: nil, files: HuggingFaceModelFiles(path: path, fileSystem: fileSystem), warnings: [])
        }
    }

    /// The model of a verified checkpoint; throws 65 where its weights do not fit its shape.
    package init(_ checkpoint: Checkpoint, warnings: [String] = []) throws {
        try self.init(checkpoint: checkpoint, files: HuggingFaceModelFiles(checkpoint), warnings: warnings)
    }

    /// The directory or file that it was found in.
    package var path: FilePath { files.path }

    /// Whether it is one file, beside which nothing belongs to it.
    package var isFile: Bool { files is LlmcModelFile }

    /// The bytes of a further file of the model, such as `tokenizer.json`, or nil when it has none. Of a checkpoint only
    /// what was verified counts.
    package func contents(of name: String) throws -> [UInt8]? {
        if isFile { return nil }
        guard let checkpoint else { return try InputFile.contents(ifPresent: path.appending(name)) }
        return try checkpoint.contents(of: name)
    }
}
