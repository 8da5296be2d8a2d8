import Basics

extension CheckpointDirectory {
    /// What a glance at a checkpoint says; its bytes are not read.
    package struct Glance: Sendable {
        package let candidate: Candidate
        /// Of all its files; nil where the manifest cannot be read or a file is missing or has another size.
        package let bytes: Int?
        /// Nil where it cannot be read.
        package let state: TrainerState?
    }

    /// Every checkpoint, highest step first, as far as names, sizes and states tell. `inspect` is what verifies them.
    package func glance() -> [Glance] {
        let candidates = (try? list().candidates) ?? []
        let whole = Set(((try? complete(below: .max)) ?? []).map(\.name))
        return candidates.map { candidate in
            let manifest = try? Checkpoint.manifest(of: candidate.path, fileSystem: fileSystem)
            let size = manifest.map { $0.files.reduce(0) { $0 + $1.size } }
            let name = Checkpoint.FileName.state
            let file = try? InputFile(candidate.path.appending(name), followLinks: false, fileSystem: fileSystem)
            let bytes = try? file?.contents(limit: TrainerState.sizeLimit)
            let state = bytes.flatMap { try? TrainerState(json: $0, file: name) }
            return Glance(candidate: candidate, bytes: whole.contains(candidate.name) ? size : nil, state: state)
        }
    }
}
