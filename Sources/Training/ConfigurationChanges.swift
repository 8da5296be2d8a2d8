import Basics
import Checkpointing

extension TrainingConfiguration {
    /// What differs from the options of an earlier start, a line each in the table's order.
    /// - Parameter told: options that something else was said of.
    func changes(since last: OptionList, besides told: Set<String>) -> [String] {
        let standard = TrainingConfiguration()
        return Self.options.compactMap { row in
            guard row.successor == nil, !told.contains(row.name) else { return nil }
            let own = row.write(self)
            // What that version did not know was as it is without the option.
            guard let before = last[row.name] ?? row.write(standard) ?? own.map({ _ in "none" }),
                before != own ?? "none"
            else { return nil }
            return "changed since the last start: --\(row.name) \(before) → \(own ?? "none")"
        }
    }
}

extension ResumePoint {
    /// What differs from the newest start in the run directory, a line each, without what a resume warns about by itself.
    /// - Parameters:
    ///   - configuration: with the checkpoint's values.
    ///   - wanted: as it was given.
    ///   - path: the run directory.
    func changes(
        of configuration: TrainingConfiguration, wanted: TrainingConfiguration, in path: FilePath,
        fileSystem: any FileSystem
    ) -> [String] {
        guard let state else { return [] }
        do {
            guard let last = try OptionList(ofNewestStartIn: path, fileSystem: fileSystem) else { return [] }
            // Where the run is and where it goes on from is no setting of it.
            var told: Set<String> = ["run-dir", "resume"]
            if wanted.threads == nil { told.insert("threads") }
            // A resume spells out what a new run works out.
            if wanted.decaySteps == nil, wanted.decayShare == nil { told.formUnion(["decay-steps", "decay-share"]) }
            for row in TrainingConfiguration.options where row.role == .tuning {
                let own = row.write(configuration)
                if wanted.isGiven(row), own != nil, own != state.configuration[row.name] { told.insert(row.name) }
            }
            return configuration.changes(since: last, besides: told)
        } catch {
            return ["what changed since the last start is not known: \(error)"]
        }
    }
}
