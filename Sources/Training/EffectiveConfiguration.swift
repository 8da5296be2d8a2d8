import Basics
import Checkpointing
import Optimization
import Transformer

/// What a run that was given some options would begin with, found without making, locking or changing anything, and
/// without a look at the data.
///
/// What a run measures stays `auto`, and what follows from the tokenizer beside the data stays open.
package struct EffectiveConfiguration: Sendable {
    /// With the values of a recipe, a model or a checkpoint.
    package private(set) var configuration: TrainingConfiguration
    /// Where each option's value comes from, by name; what is not here is nobody's choice.
    package private(set) var origins: [String: OptionOrigin]
    /// What a run would say of its options, and what differs from its newest start.
    package private(set) var remarks: [String] = []

    /// - Throws: what a run would end with: `ExitError` for options that exclude each other (64), that contradict the
    ///   checkpoint to go on from (64) or a model (64), or a checkpoint or model that cannot be used (65, 66, 73).
    package init(_ given: GivenOptions<TrainingConfiguration>) throws {
        (configuration, origins) = (given.settings, given.origins)
        try configuration.validateChoices()
        let notes = Notes()
        let resume = try ResumePoint(reading: configuration, notes)
        try goOn(resume, notes)
        if resume.state == nil { try begin(notes) }
        try configuration.validateTogether()
        remarks = notes.texts
    }

    /// Takes over what a checkpoint has.
    private mutating func goOn(_ resume: ResumePoint, _ notes: Notes) throws {
        let wanted = configuration
        try resume.complete(&configuration, notes)
        guard let state = resume.state else { return }
        let kept: [OptionRole] = [.identity, .tuning, .schedule]
        for row in TrainingConfiguration.options where kept.contains(row.role) {
            let own = row.write(configuration)
            if own != row.write(wanted) || (own != nil && !wanted.isGiven(row)) {
                origins[row.name] = .checkpoint(resume.name)
            }
        }
        _ = try configuration.makeSchedule().resuming(state.scheduler, change: configuration.scheduleChange)
        notes.line("goes on from \(resume.name)")
        if let recipe = configuration.recipe {
            notes.line("recipe \(recipe.rawValue) sets nothing at a resume: the checkpoint has the values")
        }
        resume.changes(
            of: configuration, wanted: wanted, in: configuration.runDirectory, fileSystem: LocalFileSystem()
        ).forEach(notes.line)
    }

    /// Takes over what a recipe and a given model say of a new run.
    private mutating func begin(_ notes: Notes) throws {
        let recipe = configuration.recipe
        var set = recipe.map { configuration.followShape(of: $0) } ?? []
        if let path = configuration.initFrom {
            let model = try SavedModel(path)
            let shape = configuration.shape(of: model.files.description.shape)
            try configuration.requireNoContradiction(to: shape, of: model.path)
            let wanted = configuration
            configuration.adopt(shape)
            for row in TrainingConfiguration.options where row.section == 1 && origins[row.name] == nil {
                if row.write(configuration) != row.write(wanted) || !wanted.isGiven(row) { origins[row.name] = .model }
            }
        } else {
            // The sizes go together with any number of tokens or with none.
            _ = try configuration.newShape(vocabularySize: configuration.vocabularySize ?? 257)
        }
        guard let recipe else { return }
        set += configuration.follow(recipe)
        for (name, _) in set { origins[name] = .recipe(recipe.rawValue) }
        notes.line(recipe.remark(set))
    }
}

/// Keeps what is said.
private final class Notes: Reporter {
    private(set) var texts: [String] = []
    func line(_ text: String) { texts.append(text) }
    func warning(_ text: String) { texts.append(text) }
}

extension ResumePoint {
    /// Where a run of these options would go on, for one process that only looks.
    fileprivate init(reading configuration: TrainingConfiguration, _ reporter: any Reporter) throws {
        let path = configuration.runDirectory
        let directory = path.isEmpty ? nil : CheckpointDirectory(path: path.appending("checkpoints"))
        checkpoint = try Self.find(configuration, in: directory, reporter)
        state = checkpoint?.state
        let file = Checkpoint.FileName.configuration
        model = try checkpoint?.contents(of: file).map { try ModelDescription(configurationJSON: $0, file: file) }
    }
}

extension TrainingConfiguration {
    /// What a resume was asked to change of the learning rate's curve.
    var scheduleChange: ScheduleChange { rewarm.map { .rewarm(steps: $0) } ?? (extendSchedule ? .extend : .none) }
}
