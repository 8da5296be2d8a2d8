import Basics
import Checkpointing
import Collectives
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

/// The training loop. Every rank runs the same one; read it from top to bottom.
///
/// `Trainer` does not know how many ranks there are beyond what its communicator says, nor what carries their messages.
package final class Trainer {
    /// How a run ended without an error.
    package enum Outcome: Sendable {
        /// All steps are done and saved, or as many as the validation loss was worth.
        case finished
        /// Somebody asked it to stop; the state is saved, and the same command goes on with it.
        case stopped
    }

    let communicator: any Communicator
    let reporter: any Reporter
    let setup: TrainingSetup
    var configuration: TrainingConfiguration { setup.configuration }
    package var model: any LanguageModel { setup.parts.model }
    var optimizer: any Optimizer { setup.parts.optimizer }
    package var reducer: GradientReducer { setup.parts.reducer }
    private var gradients: Buffer<Float> { setup.parts.gradients }
    private var losses: OrderedSum { setup.parts.losses }
    var scheduler: LearningRateScheduler
    /// Optimizer steps made.
    package var step: Int { scheduler.step }
    var validation: ValidationRecord
    /// The newest step's numbers, while its evaluation is still to come.
    var unevaluated: StepMetrics?
    var failedSaves = 0
    var lastSavedStep: Int?
    private let observer: DebugObserver?
    private let tracer: Tracer?
    /// Tokens and seconds of the steps since the last log line.
    private var sinceLine = (tokens: 0, seconds: 0.0)
    private var rankTimes = RankTimes()
    private var slowest: SlowestRank?
    /// Nanoseconds, for the speeds; tests put their own here.
    package var clock: () -> UInt64 = Timeline.now

    /// Sets a run up on this rank: data, model, optimizer, resume. All ranks call it together.
    /// - Parameters:
    ///   - fileSystem: where the run directory is.
    ///   - hooks: what is not the run's own.
    /// - Throws: `AgreedError` on all ranks when any of them fails.
    package convenience init(
        _ configuration: TrainingConfiguration, communicator: any Communicator, reporter: any Reporter,
        fileSystem: any FileSystem = LocalFileSystem(), hooks: TrainingHooks = TrainingHooks()
    ) throws {
        let setup = try TrainingSetup(
            configuration, communicator: communicator, reporter: reporter, fileSystem: fileSystem, hooks: hooks)
        self.init(setup, communicator: communicator, reporter: reporter)
    }

    /// A run of what was set up.
    init(_ setup: TrainingSetup, communicator: any Communicator, reporter: any Reporter) {
        let configuration = setup.configuration
        self.communicator = communicator
        self.reporter = reporter
        self.setup = setup
        scheduler = setup.scheduler
        validation = ValidationRecord(setup.resumedState, set: setup.evaluator?.set, reporter)
        observer = configuration.debug ? DebugObserver(reporter: reporter) : nil
        tracer = configuration.trace.map {
            Tracer(path: $0, step: setup.scheduler.step, steps: setup.configuration.steps)
        }
        unevaluated = setup.resumedState?.unevaluatedStep.map(metrics)
        model.observer = observer?.observe
    }

    /// oneDNN primitives made so far: none is made inside a step.
    package var primitiveCount: Int { setup.compute.primitiveCount }

    /// Bytes of buffers that this rank reserved, as its plan had them.
    package var plannedBytes: Int { setup.memoryPlan.total }

    /// Trains until the last step, until the validation loss no longer falls where that was asked for, or until somebody
    /// asks it to stop.
    package func run() throws -> Outcome {
        do {
            let outcome = try makeSteps()
            try endTrace()
            setup.startsLog?.end(outcome == .finished ? "finished" : "stopped", at: step)
            return outcome
        } catch {
            setup.startsLog?.end("failed", at: step, because: "\(error)")
            throw error
        }
    }

    private func makeSteps() throws -> Outcome {
        try verifyRanksAgree()
        StopRequest.beginRun()
        findKeptBest()
        // An evaluation that a stop cut short comes first.
        if let result = unevaluated {
            sinceLine = (result.tokens / result.step, result.measured.milliseconds / 1000)
            if let outcome = try conclude(result) { return outcome }
        } else if step == configuration.steps {
            reporter.line(
                "nothing to do: step \(step) of \(configuration.steps) is reached; to go on, give a larger --steps with "
                    + "--extend-schedule")
        } else if validation.lacksImprovement(over: configuration.stopAfterNoImprovement) {
            reporter.line(
                "\(validation.reasonToEnd); to go on, give a larger --stop-after-no-improvement, or leave it out")
            return .finished
        } else if configuration.stopAfter == step {
            return .stopped
        }
        while step < configuration.steps {
            setup.startsLog?.begin(after: step)
            if let tracer, tracer.begins(at: step + 1) { record(on: tracer.timeline) }
            let result = try trainingStep()
            if let tracer, tracer.ends(at: step) { try endTrace() }
            if let outcome = try conclude(result) { return outcome }
        }
        return .finished
    }

    /// What follows a step: evaluation, report, comparison of ranks, save. Says how the run ends, where it ends here.
    private func conclude(_ made: StepMetrics) throws -> Outcome? {
        var result = made
        let isLast = step == configuration.steps
        unevaluated = nil
        var isBest = false
        if let evaluator = setup.evaluator, isLast || step % configuration.evalInterval == 0 {
            let found = try evaluator.evaluate(model, on: communicator) { try !communicator.isAny(StopRequest.isSet) }
            guard let found else {
                unevaluated = made
                try save(mustSucceed: true)
                return .stopped
            }
            result.validationLoss = found.loss
            result.validationBitsPerByte = setup.dataBytes?.validation.map {
                TokenBytes.bitsPerByte(found.loss, bytesPerToken: $0)
            }
            isBest = validation.add(found.loss, of: evaluator.set, at: step)
        }
        try report(result)
        if step % configuration.fingerprintInterval == 0 { try verifyRanksAgree() }
        let isOver = isLast || validation.lacksImprovement(over: configuration.stopAfterNoImprovement)
        if let interval = configuration.sampleInterval, isOver || step % interval == 0 { try writeSample() }
        if isOver || step % configuration.checkpointInterval == 0 || isBest && configuration.keepBest {
            try save(mustSucceed: isOver)
        }
        if isOver {
            if !isLast { reporter.event(.stopped(step: step, text: validation.reasonToEnd)) }
            return .finished
        }
        // Asked after the save, so that a request during it finds its end.
        let isAsked = StopRequest.isSet || configuration.stopAfter == step
        guard try communicator.isAny(isAsked) else { return nil }
        try save(mustSucceed: true)
        return .stopped
    }

    /// One optimizer step: every micro-batch's gradient, one reduction, one update.
    package func trainingStep() throws -> StepMetrics {
        Activity.enter(step == setup.scheduler.step ? .firstStep : .step, step: step + 1)
        let start = clock()
        rankTimes.begin()
        let plan = setup.loader.plan
        let tokens = plan.globalBatch * model.configuration.contextLength
        observer?.step = step + 1
        observer?.shows = step == 0 || (step + 1) % configuration.logInterval == 0

        // Gradients of summed token losses: micro-batches add up, and one division by all tokens ends it.
        losses.removeAll()
        let own = plan.microBatches(rank: communicator.rank)
        reducer.beginStep()
        for microBatch in own {
            try model.timeline.timed(.data) { try setup.loader.load(step: step, microBatch: microBatch, into: model) }
            reducer.beginMicroBatch(microBatch - own.lowerBound)
            let key = MicroBatchKey(
                seed: configuration.seed, step: step, microBatch: microBatch, pieceLength: pieceLength(at: step))
            losses[microBatch] = try model.lossAndGradients(into: gradients, key: key) { range in
                // On the last micro-batch this sums over ranks, bucket by bucket, beside the backward pass.
                try model.timeline.timed(.reduction) { try reducer.completed(range) }
            }
            try model.timeline.timed(.waiting) { try reducer.endMicroBatch() }
        }
        try model.timeline.timed(.waiting) { try losses.share(on: communicator) }
        let loss = losses.sum / Double(tokens)
        let norm = try model.timeline.timed(.update) {
            let squares = model.timeline.timed(.gradientNorm) {
                Vector.sumOfSquares(setup.compute.pool, gradients.all, sums: setup.parts.squareSums)
            }
            let norm = squares.squareRoot() / Double(tokens)
            // Both numbers are the same on all ranks, so all stop here or none does, before the update.
            try requireFinite(loss: loss, norm: norm)

            let clip = GradientClipping.factor(norm: norm, maximum: configuration.gradClip)
            try optimizer.update(
                model.weights, gradients: gradients, copy: model.operandCopy, rates: scheduler.rates,
                gradientScale: clip / Double(tokens), pool: setup.compute.pool)
            return norm
        }
        scheduler.advance()
        try scheduler.requireUsableRateOfAll()
        model.timeline?.record(.step, index: step, since: start)

        let seconds = Double(clock() - start) / 1e9
        sinceLine = (sinceLine.tokens + tokens, sinceLine.seconds + seconds)
        rankTimes.end(seconds: seconds)
        var measured = TrainerState.StepMeasurement()
        measured.trainLoss = loss
        measured.gradientNorm = norm
        measured.tokensPerSecond = Double(tokens) / seconds
        measured.milliseconds = seconds * 1000
        return metrics(measured)
    }

    /// The length of the sequences of update number `step`, from 0; nil where they are whole.
    private func pieceLength(at step: Int) -> Int? {
        configuration.sequenceWarmup?.length(at: step, of: scheduler.schedule.totalSteps)
    }

    /// The newest step's numbers: what was measured of it, and where it stands.
    private func metrics(_ measured: TrainerState.StepMeasurement) -> StepMetrics {
        let position = step * setup.loader.plan.globalBatch
        var metrics = StepMetrics()
        metrics.step = step
        metrics.epoch = setup.loader.epoch(before: position) + 1
        metrics.learningRate = scheduler.learningRate
        metrics.muonLearningRate = scheduler.rates.muon
        metrics.tokens = position * model.configuration.contextLength
        metrics.measured = measured
        metrics.ceilingShare = setup.ceiling?.share(of: measured.tokensPerSecond)
        if configuration.sequenceWarmup != nil {
            metrics.sequenceLength = pieceLength(at: step - 1) ?? model.configuration.contextLength
        }
        return metrics
    }

    /// Writes the step's line of metrics, the log line and the live display. Rank 0 alone has them; what the ranks tell each
    /// other for them all do.
    private func report(_ metrics: StepMetrics) throws {
        for record in setup.records { record.append(metrics) }
        // A validation loss is said at the step that it is of.
        if step % configuration.logInterval == 0 || step == configuration.steps || metrics.validationLoss != nil {
            let meanSpeed = sinceLine.seconds > 0 ? Double(sinceLine.tokens) / sinceLine.seconds : 0
            sinceLine = (0, 0)
            slowest = try rankTimes.exchange(on: communicator)
            let text = metrics.logLine(
                of: configuration.steps, mixedPrecision: model.precision == .bf16, meanSpeed: meanSpeed)
            reporter.event(.step(metrics, text: text))
        }
        var moment = RunMoment()
        (moment.metrics, moment.steps, moment.slowest) = (metrics, configuration.steps, slowest)
        moment.checkpointStep = lastSavedStep ?? setup.resumedState?.step
        reporter.progress(moment)
    }

    /// Lets rank 0 write a text with the weights of this step; the others wait for it. Nothing of the training changes.
    private func writeSample() throws {
        Activity.enter(.sample)
        let sample = try communicator.agreeing {
            try setup.parts.generator.map { try setup.sampleWriter?.sample(step: step, by: $0) } ?? nil
        }
        guard let sample else { return }
        for record in setup.records { record.append(sample) }
        reporter.event(.sample(sample))
    }

    /// Writes what was traced, or says that nothing was.
    private func endTrace() throws {
        guard let tracer else { return }
        record(on: nil)
        if try !tracer.write(on: communicator) {
            reporter.warning("nothing was traced: the run made too few steps for --trace; give a run with more to do")
        }
    }

    /// Lets model, reducer and optimizer record what they do; nil ends it.
    func record(on timeline: Timeline?) {
        model.timeline = timeline
        reducer.timeline = timeline
        optimizer.timeline = timeline
    }

    private func requireFinite(loss: Double, norm: Double) throws {
        guard !(loss.isFinite && norm.isFinite) else { return }
        let place =
            losses.firstNonFinite.map { ", first in the micro-batch of rank \($0 / setup.loader.plan.accumulation)" }
            ?? ""
        let what = loss.isFinite ? "gradient norm is \(fixed(norm, 0))" : "loss is \(fixed(loss, 0))"
        throw AgreedError(
            ExitError(79, "step \(step + 1): the \(what)\(place); no update was made; \(adviceAgainstExplosion)"))
    }

    /// What to do about numbers that are not finite. From a checkpoint another rate needs a way into it.
    var adviceAgainstExplosion: String {
        let start = lastSavedStep ?? setup.resumedState?.step
        let lower =
            start.map {
                "go on from \(CheckpointName.directory(step: $0)) with a lower --learning-rate and --rewarm "
                    + "\(max(1, configuration.warmupSteps))"
            } ?? "lower --learning-rate"
        return "\(lower), or find the layer with one rank and --debug"
    }

    /// All ranks hold the same weights, or the run stops and names tensor and ranks.
    private func verifyRanksAgree() throws {
        guard communicator.worldSize > 1 else { return }
        let layout = model.layout
        let prints = layout.parameters.map { Fingerprint.compute(model.weights[$0.range]) }
        do {
            try RankAgreement.verifySameWeights(
                fingerprints: prints, names: layout.parameters.map(\.name), step: step, on: communicator)
        } catch let error as RankDisagreement {
            throw AgreedError(error)
        }
    }
}
