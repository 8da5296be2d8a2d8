import Basics
import Checkpointing
import Collectives
import DataParallel
import Kernels
import Optimization
import Transformer

/// Where a run goes on: a checkpoint that verified, or the start.
struct ResumePoint {
    /// Nil at the start; the same on all ranks.
    let state: TrainerState?
    /// The checkpoint's model; the same on all ranks.
    let model: ModelDescription?
    /// Rank 0's.
    let checkpoint: Checkpoint?

    /// Rank 0 finds and verifies the checkpoint; every rank gets its state.
    /// - Parameter checkpoints: those of the run directory, where there is one; rank 0's.
    init(
        _ configuration: TrainingConfiguration, checkpoints: CheckpointDirectory?, communicator: any Communicator,
        reporter: any Reporter
    ) throws {
        var found: Checkpoint?
        let bytes = try communicator.fromRankZero {
            found = try Self.find(configuration, in: checkpoints, reporter)
            return found?.state.json() ?? []
        }
        checkpoint = found
        state = bytes.isEmpty ? nil : try TrainerState(json: bytes, file: Checkpoint.FileName.state)
        let file = Checkpoint.FileName.configuration
        let description = try communicator.fromRankZero { try found?.contents(of: file) ?? [] }
        model = try communicator.agreeing {
            description.isEmpty ? nil : try ModelDescription(configurationJSON: description, file: file)
        }
    }

    /// The schedule at the step to go on from.
    /// - Throws: `AgreedError` on all ranks when it is not the saved one and no option asks for the change.
    func scheduler(
        _ configuration: TrainingConfiguration, own: CustomSchedule? = nil, communicator: any Communicator,
        reporter: any Reporter
    ) throws -> LearningRateScheduler {
        let asked = try communicator.agreeing { try configuration.makeSchedule().following(own) }
        guard let state else {
            let fresh = LearningRateScheduler(schedule: asked)
            try fresh.requireUsableRateOfAll()
            return fresh
        }
        let change = configuration.scheduleChange
        let resumed = try communicator.agreeing { try asked.resuming(state.scheduler, change: change) }
        let (saved, rate) = (state.scheduler.nextLearningRate, resumed.learningRate)
        reporter.line("resumed from \(name), learning rate \(rateText(rate))")
        if rate.bitPattern != saved.bitPattern {
            reporter.line("learning rate changes with the new schedule: \(saved) → \(rate)")
        }
        return resumed
    }

    /// The checkpoint's name, for messages.
    var name: String { CheckpointName.directory(step: state?.step ?? 0) }

    /// The checkpoint that a run goes on from; nil where it starts anew.
    /// - Throws: where there are some and none can be taken, or where going on would mix two courses of a run.
    static func find(
        _ configuration: TrainingConfiguration, in checkpoints: CheckpointDirectory?, _ reporter: any Reporter
    ) throws -> Checkpoint? {
        switch configuration.resume {
        case .path(let path):
            let model = try SavedModel(path)
            for warning in model.warnings { reporter.warning(warning) }
            guard let checkpoint = model.checkpoint else {
                throw ExitError.badInput(
                    "--resume \(path.shown) is a model without the state of a run; start a new run from it with --init-from"
                )
            }
            // Later ones would be of another course of the run, and the next automatic resume would take them.
            let newest = try checkpoints?.list().candidates.first
            if let newest, newest.step > checkpoint.state.step {
                throw ExitError(
                    73,
                    "--resume \(path.shown) goes back to step \(checkpoint.state.step), but \(configuration.runDirectory.shown) holds "
                        + "\(newest.name); choose another --run-dir, or remove the later checkpoints")
            }
            return checkpoint
        case .auto:
            guard let (checkpoint, warnings) = try checkpoints?.newestVerified() else { return nil }
            for warning in warnings { reporter.warning(warning) }
            guard checkpoint != nil || warnings.isEmpty else {
                throw ExitError.badInput(
                    "no checkpoint of \(configuration.runDirectory.shown) verifies; choose another --run-dir to start anew"
                )
            }
            return checkpoint
        case .never:
            if let newest = try checkpoints?.list().candidates.first {
                throw ExitError(
                    73,
                    "--resume never, but \(configuration.runDirectory.shown) holds checkpoints up to \(newest.name), which "
                        + "would mix with the new run's; choose another --run-dir or remove this one")
            }
            return nil
        }
    }

    /// Puts rank 0's weights and moments on all ranks: from the checkpoint, a model directory, or drawn from the seed.
    func fill(
        _ model: any LanguageModel, _ optimizer: any Optimizer, source: ModelSource, seed: UInt64,
        communicator: any Communicator
    ) throws {
        try communicator.agreeing {
            guard communicator.rank == 0 else { return }
            if let checkpoint {
                let size = checkpoint.model.fileSize + checkpoint.optimizer.fileSize
                try WorkProgress.during("reading \(name)", of: size, .bytesRead) {
                    try checkpoint.readTensors(model, optimizer)
                }
            } else if let weights = source.weights {
                try weights.read(into: model.weights, layout: model.layout)
            } else {
                model.layout.initialize(model.weights, seed: seed)
            }
        }
        let arenas = [model.weights] + (state == nil ? [] : optimizer.moments.map(\.arena))
        let size = communicator.worldSize > 1 ? arenas.reduce(0) { $0 + $1.count * MemoryLayout<Float>.stride } : 0
        try WorkProgress.during("sending weights", of: size, .bytesSent) {
            for arena in arenas { try ParameterBroadcast.broadcast(arena, on: communicator) }
        }
        if let state { optimizer.step = state.optimizer.step }
        model.refreshOperands()
    }
}

extension ResumePoint {
    /// Gives every option that defines the run and was not given the checkpoint's value, on all ranks alike.
    /// - Throws: `ExitError`: 64 for one that was given and contradicts the checkpoint, 65 for a state that is none.
    func complete(_ configuration: inout TrainingConfiguration, _ reporter: any Reporter) throws(ExitError) {
        guard let state else {
            for (flag, isGiven) in [
                ("--rewarm", configuration.rewarm != nil), ("--extend-schedule", configuration.extendSchedule),
            ] where isGiven { reporter.line("\(flag) has no effect: the run starts at step 0") }
            return
        }
        if let stop = configuration.stopAfter, stop < state.step {
            throw .usage(
                "--stop-after \(stop) is behind \(name), where the run is; give a later step, or leave the option out")
        }
        var contradictions: [String] = []
        let asked = configuration
        for row in TrainingConfiguration.options where row.role == .identity || row.role == .tuning {
            // What an older checkpoint does not know of the run was as it is without the option.
            let standard =
                row.name == "precision"
                ? state.precision
                : row.role == .identity ? row.write(TrainingConfiguration()) : nil
            guard let saved = state.configuration[row.name] ?? standard else {
                if row.role == .tuning, asked.isGiven(row), let own = row.write(asked) {
                    reporter.warning("--\(row.name) is new at this resume: \(own)")
                }
                continue
            }
            // An option that leaves the choice to the program asks for nothing.
            if asked.isGiven(row), let own = row.write(asked), own != "auto" {
                guard own != saved else { continue }
                if row.role == .identity {
                    contradictions.append("--\(row.name) is \(own), the checkpoint has \(saved)")
                } else {
                    reporter.warning("--\(row.name) changes at this resume: \(saved) → \(own)")
                }
            } else if !row.read(&configuration, saved) {
                throw .badInput("\(name) was saved with \(row.name) '\(saved)', expected \(row.form.expected)")
            }
        }
        guard contradictions.isEmpty else {
            throw .usage(
                "\(name) is of another run: \(contradictions.joined(separator: "; ")); leave these options out to go on "
                    + "with the checkpoint's, or choose another --run-dir")
        }
        // What was not given of the schedule; the decay only where both have one, as it was given then.
        let ofTheDecay: Set = ["decay-steps", "decay-shape"]
        let schedule = state.scheduler.schedule
        for (name, saved) in schedule.options where !ofTheDecay.contains(name) {
            guard let row = TrainingConfiguration.option(name), !asked.isGiven(row) else { continue }
            _ = row.read(&configuration, saved)
        }
        guard configuration.schedule == .wsd, schedule.kind == .wsd else { return }
        if let row = TrainingConfiguration.option("decay-shape"), !asked.isGiven(row) {
            configuration.decayShape = schedule.decayShape
        }
        guard asked.decaySteps == nil, asked.decayShare == nil else { return }
        configuration.decayShare = schedule.decayShare
        configuration.decaySteps = schedule.decayShare == nil ? schedule.decaySteps : nil
    }

    /// Checks that the checkpoint's tensors are the model's, and that the data is what they were trained on.
    /// - Parameter dataIdentity: nil where it is not known.
    func requireFit(_ source: ModelSource, dataIdentity: [String]?) throws {
        guard let checkpoint else { return }
        try checkpoint.model.check(source.description.tensors)
        let saved = checkpoint.state.dataIdentity
        if let dataIdentity, dataIdentity != saved {
            throw ExitError.badInput(
                "the training data is not what \(name) was trained on (identity \(dataIdentity.joined(separator: ",")), "
                    + "expected \(saved.joined(separator: ","))); give the same shards or another --run-dir")
        }
    }
}
