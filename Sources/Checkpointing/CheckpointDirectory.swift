import Basics

/// The directory `checkpoints/` of a run. Listing and reading need no lock and change nothing.
package struct CheckpointDirectory: Sendable {
    /// The directory itself.
    package let path: FilePath
    let fileSystem: any FileSystem

    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) {
        self.path = path
        self.fileSystem = fileSystem
    }

    /// A directory that has a checkpoint's name; whether it verifies is another question.
    package struct Candidate: Equatable, Sendable {
        /// Such as `step-00000100`.
        package let name: String
        package let step: Int
        /// The directory.
        package let path: FilePath
    }

    /// The names of checkpoints, highest step first, and how many other names there are, the link `best` aside. Times of files play no part.
    /// A directory that does not exist has none.
    package func list() throws -> (candidates: [Candidate], ignored: Int) {
        let names: [FilePath.Component]
        do {
            names = try fileSystem.names(in: path)
        } catch {
            guard error.isNotFound else { throw error }
            return ([], 0)
        }
        var candidates = names.compactMap { name in
            CheckpointName.step(name.string).map { Candidate(name: name.string, step: $0, path: path.appending(name)) }
        }
        // The same step under two names: ours, the longer one, first.
        candidates.sort { ($0.step, $0.name.utf8.count) > ($1.step, $1.name.utf8.count) }
        let others = names.count { $0.string != CheckpointName.best } - candidates.count
        return (candidates, others)
    }

    /// Reads and verifies a listed checkpoint; nil when it has been removed since, as a run that goes on does.
    package func verified(_ candidate: Candidate) throws -> Checkpoint? {
        // A checkpoint is renamed before anything in it is removed, and a new one of the same step comes by a rename
        // too: if the directory is still the same one, what was read is what it holds.
        for _ in 0..<3 {
            guard let before = try? fileSystem.status(candidate.path, followLinks: false) else { return nil }
            do {
                return try Checkpoint(verifying: candidate.path, fileSystem: fileSystem)
            } catch {
                let after = try? fileSystem.status(candidate.path, followLinks: false)
                if after?.identity == before.identity { throw error }
            }
        }
        return nil
    }

    /// The checkpoint of the highest step that verifies, nil when there is none, and a line for every better one that
    /// does not. Nothing is moved or removed. Throws 66 where a better one cannot be read at all.
    package func newestVerified() throws -> (checkpoint: Checkpoint?, warnings: [String]) {
        var warnings: [String] = []
        for _ in 0..<10 {
            warnings = []
            let candidates = try list().candidates
            for candidate in candidates {
                do {
                    if let checkpoint = try verified(candidate) { return (checkpoint, warnings) }
                } catch  where exitCode(of: error) == .badInput {
                    // One that cannot be read is not known to be worse than the next one.
                    warnings.append("checkpoint \(candidate.name) is passed over: \(error)")
                }
            }
            // All that were listed and are whole have been removed meanwhile: there must be newer ones.
            if candidates.isEmpty || !warnings.isEmpty { break }
        }
        return (nil, warnings)
    }

    /// The checkpoints below `step`, the newest first, whose manifest can be read and whose files have their sizes. For
    /// messages and for counting; the bytes are not read.
    func complete(below step: Int) throws -> [Candidate] {
        try list().candidates.filter { candidate in
            guard candidate.step < step,
                let manifest = try? Checkpoint.manifest(of: candidate.path, fileSystem: fileSystem)
            else { return false }
            return manifest.files.allSatisfy { file in
                let status = try? fileSystem.status(candidate.path.appending(file.name), followLinks: false)
                return status?.kind == .file && status?.size == file.size
            }
        }
    }
}
