import Basics

extension CheckpointDirectory {
    /// Removes the oldest checkpoints so that `keep` complete ones are left, the one just saved among them.
    ///
    /// Checkpoints that are not complete do not count and are left alone, and so are those of a later step than the
    /// one just saved: they belong to another course of the run. Each is renamed first, so that no half-removed one
    /// ever carries a checkpoint's name. Returns what was removed, and a line for what could not be.
    ///
    /// - Parameter best: the step of one that stays in any case, beside the others.
    package func retain(
        _ keep: Int, after saved: SavedCheckpoint, best: Int? = nil
    ) throws -> (removed: [String], warnings: [String]) {
        guard keep >= 1 else { throw ExitError(.usage, "--keep is \(keep), expected 1 or more") }
        let older = try complete(below: saved.step)
        var removed: [String] = []
        var warnings: [String] = []
        for candidate in older.dropFirst(keep - 1) where candidate.step != best {
            switch retire(candidate) {
            case nil: removed.append(candidate.name)
            case let warning?: warnings.append(warning)
            }
        }
        return (removed, warnings)
    }

    /// Removes checkpoints, oldest first, that `retain(keep)` would remove after a save of `step`, until the `needed`
    /// bytes of that save fit on the disk. Before anything is removed, the newest one must verify: it stays in any case,
    /// and no save is worth the last good state. So does `best`, if it is there. Returns the names of what was removed.
    func makeRoom(for needed: Int, step: Int, keep: Int, best: Int?) -> [String] {
        func fits() -> Bool { (try? fileSystem.freeBytes(at: path)).map { $0 > needed + needed / 64 } ?? true }
        guard !fits(), let older = try? complete(below: step), older.count > max(1, keep - 1),
            let newest = older.first, (try? verified(newest)) != nil
        else { return [] }
        var removed: [String] = []
        for candidate in older.dropFirst(max(1, keep - 1)).reversed()
        where candidate.step != best && !fits() {
            if retire(candidate) == nil { removed.append(candidate.name) }
        }
        return removed
    }

    /// Takes a checkpoint's name away and removes its files; returns a line where that fails. Where `best` leads to it,
    /// that goes with it.
    private func retire(_ candidate: Candidate) -> String? {
        let trash = path.appending(CheckpointName.trash(step: candidate.step))
        let link = path.appending(CheckpointName.best)
        if (try? fileSystem.target(ofLink: link))?.string == candidate.name { try? fileSystem.removeFile(link) }
        do throws(FileSystemError) {
            try fileSystem.rename(candidate.path, to: trash, .plain)
        } catch {
            return "checkpoint \(candidate.name) could not be removed: \(systemErrorText(error.code))"
        }
        return discard(trash) ? nil : "\(trash.shown) could not be removed"
    }

    /// Removes what interrupted saves and removals left behind; only names that this program makes. Returns the names
    /// that it removed. Needs the run directory's lock: without it, one of them may be a save in progress.
    ///
    /// The newest checkpoint gets its name back, which a replacement without an exchange takes away for a moment.
    func sweep() -> [String] {
        let names = ((try? fileSystem.names(in: path)) ?? []).map(\.string).filter(CheckpointName.isLeftover)
        return names.filter { name in
            let hidden = path.appending(name)
            let newest = (try? list().candidates.first?.step) ?? -1
            if name.hasPrefix(".trash-"), let step = CheckpointName.step(name.dropFirst(7).dropLast(17)), step > newest,
                fileSystem.exists(hidden.appending(Manifest.fileName))
            {
                try? fileSystem.rename(hidden, to: path.appending(CheckpointName.directory(step: step)), .plain)
                return false
            }
            return discard(hidden)
        }
    }

    /// Removes a directory of plain files, the manifest first. A directory inside is left, and the whole with it.
    @discardableResult
    func discard(_ directory: FilePath) -> Bool {
        guard let status = try? fileSystem.status(directory, followLinks: false) else { return true }
        guard status.kind == .directory else { return (try? fileSystem.removeFile(directory)) != nil }
        guard let names = try? fileSystem.names(in: directory) else { return false }
        try? fileSystem.removeFile(directory.appending(Manifest.fileName))
        for name in names where name.string != Manifest.fileName {
            try? fileSystem.removeFile(directory.appending(name))
        }
        return (try? fileSystem.removeDirectory(directory)) != nil
    }
}
