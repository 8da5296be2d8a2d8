/// The directory `checkpoints/` of a run. Listing and reading need no lock and change nothing.
public struct CheckpointDirectory: Sendable {
    /// The directory itself.
    public let path: String
    let fileSystem: any FileSystem

    public init(path: String, fileSystem: any FileSystem = LocalFileSystem()) {
        self.path = path
        self.fileSystem = fileSystem
    }

    /// A directory that has a checkpoint's name; whether it verifies is another question.
    public struct Candidate: Equatable, Sendable {
        /// Such as `step-00000100`.
        public let name: String
        public let step: Int
        /// The directory.
        public let path: String
    }

    /// The names of checkpoints, highest step first, and how many other names there are. Times of files play no part.
    /// A directory that does not exist has none.
    public func list() throws(CheckpointError) -> (candidates: [Candidate], ignored: Int) {
        let names: [String]
        do {
            names = try fileSystem.names(in: path)
        } catch  where error.code == FileSystemError.notFound {
            return ([], 0)
        } catch {
            throw CheckpointError(.missing, "\(error)")
        }
        var candidates: [Candidate] = []
        for name in names {
            if let step = CheckpointName.step(name) {
                candidates.append(Candidate(name: name, step: step, path: path + "/" + name))
            }
        }
        // The same step under two names: ours, the longer one, first.
        candidates.sort { ($0.step, $0.name.utf8.count) > ($1.step, $1.name.utf8.count) }
        return (candidates, names.count - candidates.count)
    }

    /// For `--resume auto`: the checkpoint of the highest step that verifies, nil when there is none, and a line for
    /// every better one that does not. Nothing is moved or removed.
    public func newestVerified() throws(CheckpointError) -> (checkpoint: Checkpoint?, warnings: [String]) {
        var warnings: [String] = []
        for candidate in try list().candidates {
            do {
                return (try Checkpoint(verifying: candidate.path, fileSystem: fileSystem), warnings)
            } catch {
                warnings.append("checkpoint \(candidate.name) is passed over: \(error.message)")
            }
        }
        return (nil, warnings)
    }

    /// The newest checkpoint below `step` whose manifest can be read and whose files have their sizes. For messages
    /// and for counting; the bytes are not read.
    func newestComplete(below step: Int) -> Candidate? {
        (try? list())?.candidates.first { $0.step < step && isComplete($0) }
    }

    /// True when the manifest can be read and every file has its size.
    func isComplete(_ candidate: Candidate) -> Bool {
        guard let manifest = try? Checkpoint.manifest(of: candidate.path, fileSystem: fileSystem) else { return false }
        return manifest.files.allSatisfy { file in
            (try? fileSystem.status(path: candidate.path + "/" + file.name))
                == FileStatus(kind: .file, size: file.size)
        }
    }
}
