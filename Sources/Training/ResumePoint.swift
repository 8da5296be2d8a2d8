import Basics
import Checkpointing
import Collectives
import DataParallel
import Kernels
import Optimization
import Transformer

/// Where a run goes on: a checkpoint that verified and fits, or the start.
struct ResumePoint {
    /// Nil at the start.
    let state: TrainerState?
    let scheduler: LearningRateScheduler
    /// Rank 0's.
    private let checkpoint: Checkpoint?

    /// Rank 0 finds and checks the checkpoint; every rank gets its state.
    init(
        _ configuration: TrainingConfiguration, source: ModelSource, dataIdentity: [String], directory: RunDirectory?,
        communicator: any Communicator, reporter: any Reporter
    ) throws {
        var found: Checkpoint?
        let bytes = try communicator.fromRankZero {
            guard let directory else { return [] }
            found = try Self.find(configuration, in: directory, reporter)
            guard let found else { return [] }
            try found.state.requireFit(configuration, source: source, dataIdentity: dataIdentity, reporter)
            try found.model.check(source.description.tensors)
            return try found.state.json()
        }
        checkpoint = found
        let asked = try configuration.makeSchedule()
        guard !bytes.isEmpty else {
            state = nil
            scheduler = LearningRateScheduler(schedule: asked)
            return
        }
        let state = try TrainerState(json: bytes, file: Checkpoint.FileName.state)
        self.state = state
        let change: ScheduleChange =
            configuration.rewarm.map { .rewarm(steps: $0) } ?? (configuration.extendSchedule ? .extend : .none)
        let resumed = try communicator.agreeing { try asked.resuming(state.scheduler, change: change) }
        scheduler = resumed.scheduler
        reporter.line(
            "resumed from \(CheckpointName.directory(step: state.step)), learning rate \(fixed(resumed.rate, 6))")
        if resumed.jumps {
            reporter.line("learning rate changes with the new schedule: \(resumed.savedRate) → \(resumed.rate)")
        }
    }

    private static func find(
        _ configuration: TrainingConfiguration, in directory: RunDirectory, _ reporter: any Reporter
    ) throws -> Checkpoint? {
        for name in directory.swept { reporter.line("removed what an interrupted save left behind: \(name)") }
        switch configuration.resume {
        case .path(let path):
            let checkpoint = try Checkpoint(verifying: path)
            // Later ones would be of another course of the run, and the next automatic resume would take them.
            let newest = try directory.checkpoints.list().candidates.first
            if let newest, newest.step > checkpoint.state.step {
                throw TrainingError(
                    73,
                    "--resume \(path) goes back to step \(checkpoint.state.step), but \(configuration.runDirectory) holds "
                        + "\(newest.name); choose another --run-dir, or remove the later checkpoints")
            }
            return checkpoint
        case .auto:
            let (checkpoint, warnings) = try directory.checkpoints.newestVerified()
            for warning in warnings { reporter.warning(warning) }
            guard checkpoint != nil || warnings.isEmpty else {
                throw TrainingError.badInput(
                    "no checkpoint of \(configuration.runDirectory) verifies; choose another --run-dir to start anew")
            }
            return checkpoint
        case .never:
            if let newest = try directory.checkpoints.list().candidates.first {
                throw TrainingError(
                    73,
                    "--resume never, but \(configuration.runDirectory) holds checkpoints up to \(newest.name), which "
                        + "would mix with the new run's; choose another --run-dir or remove this one")
            }
            return nil
        }
    }

    /// Puts rank 0's weights and moments on all ranks: from the checkpoint, a model directory, or drawn from the seed.
    func fill(
        _ model: any LanguageModel, _ optimizer: AdamW, source: ModelSource, seed: UInt64,
        communicator: any Communicator
    ) throws {
        try communicator.agreeing {
            guard communicator.rank == 0 else { return }
            if let checkpoint {
                try checkpoint.readTensors(model, optimizer)
            } else if let weights = source.weights {
                try weights.read(into: model.weights, layout: model.layout)
            } else {
                model.layout.initialize(model.weights, seed: seed)
            }
        }
        try ParameterBroadcast.broadcast(model.weights, on: communicator)
        if let state {
            try ParameterBroadcast.broadcast(optimizer.firstMoments, on: communicator)
            try ParameterBroadcast.broadcast(optimizer.secondMoments, on: communicator)
            optimizer.step = state.optimizer.step
        }
        model.refreshOperands()
    }
}

extension TrainerState {
    /// Checks that a run with this configuration is the same run going on.
    fileprivate func requireFit(
        _ configuration: TrainingConfiguration, source: ModelSource, dataIdentity: [String], _ reporter: any Reporter
    ) throws {
        var adopted = configuration
        adopted.adopt(source.shape)
        var differences: [String] = []
        for (name, value) in adopted.defining {
            guard let saved = self.configuration[name], saved != value else { continue }
            if TrainingConfiguration.rule(for: name) == .mustMatch {
                differences.append("--\(name) is \(value), the checkpoint has \(saved)")
            } else {
                reporter.warning("--\(name) changes at this resume: \(saved) → \(value)")
            }
        }
        if let wanted = configuration.precision, wanted.rawValue != precision {
            differences.append("--precision is \(wanted.rawValue), the checkpoint has \(precision)")
        }
        guard differences.isEmpty else {
            throw TrainingError.badInput(
                "\(CheckpointName.directory(step: step)) is of another run: \(differences.joined(separator: "; ")); "
                    + "give the options of the saved run or another --run-dir")
        }
        if dataIdentity != self.dataIdentity {
            throw TrainingError.badInput(
                "the training data is not what \(CheckpointName.directory(step: step)) was trained on (identity "
                    + "\(dataIdentity.joined(separator: ",")), expected \(self.dataIdentity.joined(separator: ","))); "
                    + "give the same shards or another --run-dir")
        }
        if let threads = configuration.threads, threads != threadsPerRank {
            reporter.warning("--threads changes at this resume: \(threadsPerRank) → \(threads); last bits may differ")
        }
    }
}
