extension CheckpointDirectory {
    /// Removes the oldest checkpoints so that `keep` complete ones are left, the one just saved among them.
    ///
    /// Checkpoints that are not complete do not count and are left alone, and so are those of a later step than the
    /// one just saved: they belong to another course of the run. Each is renamed first, so that no half-removed one
    /// ever carries a checkpoint's name. Returns what was removed, and a line for what could not be.
    public func retain(_ keep: Int, after saved: SavedCheckpoint) throws(CheckpointError)
        -> (removed: [String], warnings: [String])
    {
        guard keep >= 1 else { throw CheckpointError(.badOption, "--keep is \(keep), expected 1 or more") }
        let older = try list().candidates.filter { $0.step < saved.step && isComplete($0) }
        var removed: [String] = []
        var warnings: [String] = []
        for candidate in older.dropFirst(keep - 1) {
            let trash = path + "/" + CheckpointName.trash(step: candidate.step)
            do {
                try fileSystem.rename(candidate.path, to: trash, .plain)
            } catch {
                warnings.append("checkpoint \(candidate.name) could not be removed: \(systemErrorText(error.code))")
                continue
            }
            removed.append(candidate.name)
            if !discard(trash) { warnings.append("\(trash) could not be removed") }
        }
        return (removed, warnings)
    }

    /// Removes what interrupted saves and removals left behind; only names that this program makes. Returns the names
    /// that it removed. Needs the run directory's lock: without it, one of them may be a save in progress.
    func sweep() -> [String] {
        let names = (try? fileSystem.names(in: path)) ?? []
        return names.filter { CheckpointName.isLeftover($0) && discard(path + "/" + $0) }
    }

    /// Removes a directory of plain files, the manifest first. A directory inside is left, and the whole with it.
    @discardableResult
    func discard(_ directory: String) -> Bool {
        guard let status = try? fileSystem.status(path: directory) else { return true }
        guard status.kind == .directory else { return (try? fileSystem.removeFile(directory)) != nil }
        guard let names = try? fileSystem.names(in: directory) else { return false }
        for name in names.sorted(by: { ($0 == Manifest.fileName ? 0 : 1) < ($1 == Manifest.fileName ? 0 : 1) }) {
            try? fileSystem.removeFile(directory + "/" + name)
        }
        return (try? fileSystem.removeDirectory(directory)) != nil
    }
}
