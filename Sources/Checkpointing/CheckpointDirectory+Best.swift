import Basics

extension CheckpointDirectory {
    /// The checkpoint of the lowest validation loss that is there, up to `step`: the newest one whose state says that its
    /// own loss was the lowest of the run so far, over `set`.
    ///
    /// So it does not matter whether a later best could not be saved. Only sizes are looked at, not every byte.
    package func best(of set: TrainerState.ValidationSet, through step: Int) -> Candidate? {
        let candidates = (try? complete(below: step + 1)) ?? []
        return candidates.first { candidate in
            guard let state = try? state(of: candidate) else { return false }
            return state.bestValidationStep == candidate.step && state.validationSet == set
        }
    }

    /// Lets the link `best` lead to a checkpoint, in one step. It is relative, so that a copied or moved run keeps it.
    ///
    /// Throws 65 where something that is no link has the name, 73 or 74 where it cannot be made.
    package func mark(best checkpoint: Candidate) throws(FileSystemError) {
        let link = path.appending(CheckpointName.best)
        guard (try? fileSystem.target(ofLink: link))?.string != checkpoint.name else { return }
        try fileSystem.replaceLink(link, to: FilePath(checkpoint.name))
    }

    private func state(of candidate: Candidate) throws -> TrainerState {
        let name = Checkpoint.FileName.state
        let file = try InputFile(candidate.path.appending(name), followLinks: false, fileSystem: fileSystem)
        return try TrainerState(json: file.contents(limit: TrainerState.sizeLimit), file: name)
    }
}
