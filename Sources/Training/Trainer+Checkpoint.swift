import Basics
import Checkpointing
import Collectives
import DataParallel
import Kernels
import Optimization
import Transformer

extension Trainer {
    /// Failed saves in a row after which a run ends: what it computes would be lost anyway.
    private static let tolerableFailures = 2

    /// Saves the state after the newest step. Rank 0 writes; the others learn how it went.
    ///
    /// A save that fails is a warning while earlier checkpoints stand; the run's last one must succeed. What is saved
    /// already is not saved again.
    package func save(mustSucceed: Bool) throws {
        guard lastSavedStep != step else { return }
        Activity.enter(.save)
        let isSaved = try communicator.fromRankZero {
            try requireFiniteState()
            guard let directory = setup.runDirectory else { return [] }
            do {
                try write(to: directory)
                failedSaves = 0
                return [1]
            } catch let error as ExitError where error.exitCode == .writeFailed {
                failedSaves += 1
                guard !mustSucceed, failedSaves <= Self.tolerableFailures else { throw error }
                reporter.warning("\(error); training goes on")
                return []
            }
        }
        if !isSaved.isEmpty { lastSavedStep = step }
    }

    /// A state that no run could go on from takes no older checkpoint's place.
    private func requireFiniteState() throws {
        try requireFinite("weights", model.weights) { $0 }
        for moments in optimizer.moments { try requireFinite(moments.name, moments.arena, moments.place) }
    }

    /// - Parameter place: where an arena has the values of a tensor that lies there in the weights.
    private func requireFinite(
        _ what: String, _ arena: Buffer<Float>, _ place: (Range<Int>) -> Range<Int>?
    ) throws {
        guard !Vector.sumOfSquares(setup.compute.pool, arena.all, sums: setup.parts.squareSums).isFinite else { return }
        let first = model.layout.parameters.first { parameter in
            place(parameter.range).map { TensorStatistics(arena[$0]).nonFiniteCount > 0 } ?? false
        }
        throw ExitError(
            79,
            "step \(step): the \(what) are not finite, first in \(first?.name ?? "?"), and were not saved; "
                + adviceAgainstExplosion)
    }

    private func write(to directory: RunDirectory) throws {
        for record in setup.records { record.synchronize() }
        let (layout, description) = (model.layout, source.description)
        func file(_ name: String, _ bytes: [UInt8]) -> CheckpointFile {
            CheckpointFile(name: name, content: .bytes(bytes))
        }
        let moments = layout.sources(of: optimizer.moments)
        var files = [
            file("config.json", description.configurationJSON()),
            file("generation_config.json", description.generationConfigurationJSON()),
            CheckpointFile(name: Checkpoint.FileName.model, content: .tensors(layout.sources(of: model.weights))),
            CheckpointFile(name: Checkpoint.FileName.optimizer, content: .tensors(moments)),
            file(Checkpoint.FileName.state, state.json()),
        ]
        if let tokenizer = source.tokenizerFile {
            let own =
                source.tokenizerConfiguration ?? description.tokenizerConfigurationJSON(endOfText: source.endOfTextName)
            files += [file(Checkpoint.FileName.tokenizer, tokenizer), file("tokenizer_config.json", own)]
        }
        // The best one before this save stays until a better one is there for good.
        let saved = try directory.checkpoints.save(
            step: step, files: files, keep: configuration.keep, best: keptBest(in: directory)?.step)
        let best = keptBest(in: directory)
        let loss = best?.step == step ? validation.best : nil
        reporter.event(.checkpoint(name: saved.name, step: step, bestLoss: loss))
        saved.warnings.forEach(reporter.warning)
        if let best, best.step == step { mark(best, in: directory) }
        do {
            try directory.checkpoints.retain(configuration.keep, after: saved, best: best?.step)
                .warnings.forEach(reporter.warning)
        } catch {
            // The new checkpoint is safe; an old one that stays costs space alone.
            reporter.warning("\(error)")
        }
    }

    /// The checkpoint that `--keep-best` keeps, where there is one of the validation data that the run has now.
    private func keptBest(in directory: RunDirectory) -> CheckpointDirectory.Candidate? {
        guard configuration.keepBest, let set = setup.evaluator?.set else { return nil }
        return directory.checkpoints.best(of: set, through: step)
    }

    private func mark(_ best: CheckpointDirectory.Candidate, in directory: RunDirectory) {
        do throws(FileSystemError) {
            try directory.checkpoints.mark(best: best)
        } catch {
            reporter.warning("\(error); the best checkpoint is \(best.name)")
        }
    }

    /// At the start of a run: the link to the best checkpoint, which a kill after its save can have left behind, and a
    /// line where that one is not there. Rank 0's matter alone.
    func findKeptBest() {
        guard configuration.keepBest, let directory = setup.runDirectory else { return }
        let best = keptBest(in: directory)
        if let best { mark(best, in: directory) }
        if let loss = validation.best, best == nil || best?.step != validation.bestStep {
            reporter.line("the best validation loss so far, \(fixed(loss, 4)), has no checkpoint; a lower one will")
        }
    }

    /// What a resume needs besides tensors. A function of the run alone: the number of ranks is not in it.
    private var state: TrainerState {
        let plan = setup.loader.plan
        let position = step * plan.globalBatch
        var state = TrainerState(scheduler: scheduler.state)
        state.swiftletVersion = swiftletVersion
        state.step = step
        state.epoch = setup.loader.epoch(at: position)
        state.position = position
        state.tokensSeen = position * model.configuration.contextLength
        state.seed = configuration.seed
        state.shuffle = configuration.shuffle
        state.contextLength = model.configuration.contextLength
        state.globalBatch = plan.globalBatch
        state.microBatch = plan.microBatch
        state.optimizer.hyperparameters = configuration.optimizer
        state.optimizer.gradientClip = configuration.gradClip
        state.optimizer.step = optimizer.step
        state.precision = model.precision.rawValue
        state.reduction = configuration.reduction.rawValue
        state.threadsPerRank = configuration.threads ?? 1
        state.configuration = OptionList(configuration.keptInCheckpoints)
        state.dataIdentity = setup.dataIdentity
        state.tokenizerHash = source.tokenizerHash
        state.lastValidationLoss = validation.newest
        state.bestValidationLoss = validation.best
        state.bestValidationStep = validation.bestStep
        state.evaluationsSinceBest = validation.evaluationsSinceBest
        state.validationSet = validation.set
        state.unevaluatedStep = unevaluated?.measured
        return state
    }

    private var source: ModelSource { setup.source }
}
