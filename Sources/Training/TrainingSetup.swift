import Basics
import Checkpointing
import Collectives
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

/// Everything that a run is made of, made in the order in which mistakes are cheapest to find.
///
/// All ranks make one together. What only rank 0 may do (the run directory, reading weights) it does alone, and the
/// others get the result; an error of any rank is everyone's.
struct TrainingSetup {
    /// With every `auto` decided.
    let configuration: TrainingConfiguration
    let loader: BatchLoader
    let evaluator: Evaluator?
    let compute: Compute
    let memoryPlan: MemoryPlan
    let parts: RunParts
    let scheduler: LearningRateScheduler
    let source: ModelSource
    /// What the run resumed from, if it did.
    let resumedState: TrainerState?
    /// Rank 0's.
    let runDirectory: RunDirectory?
    /// Rank 0's: what it writes of the run, besides checkpoints.
    let records: [any RunRecord]
    /// Rank 0's: what it writes of the model's own text, where that is asked for.
    let sampleWriter: SampleWriter?
    /// Rank 0's.
    let dataBytes: DataBytes?
    /// Where it is shown or recorded; the same on all ranks.
    let ceiling: RunCeiling?
    /// Rank 0's.
    let startsLog: StartsLog?
    let dataIdentity: [String]

    init(
        _ wanted: TrainingConfiguration, communicator: any Communicator, reporter: any Reporter,
        fileSystem: any FileSystem, hooks: TrainingHooks = TrainingHooks()
    ) throws {
        let isFirst = communicator.rank == 0
        try communicator.agree(on: [("swiftlet", swiftletVersion)] + wanted.comparedOverRanks + hooks.compared)
        if wanted.debug, communicator.worldSize > 1 {
            throw AgreedError(
                ExitError.usage(
                    "--debug is for one rank, this run has \(communicator.worldSize); start it without mpirun"))
        }

        // What cannot be written at the end is better known now.
        if let path = wanted.trace {
            try communicator.agreeing { if isFirst { try Tracer.write([], to: path) } }
        }

        // The checkpoint to go on from, where there is one: it says what was not given. A new directory is made only
        // when nothing else can go wrong.
        let path = wanted.runDirectory
        var directory = try communicator.agreeing {
            isFirst && fileSystem.exists(path) ? try RunDirectory(path: path, fileSystem: fileSystem) : nil
        }
        for name in directory?.swept ?? [] { reporter.line("removed what an interrupted save left behind: \(name)") }
        for warning in directory?.warnings ?? [] { reporter.warning(warning) }
        let resume = try ResumePoint(
            wanted, checkpoints: directory?.checkpoints, communicator: communicator, reporter: reporter)
        let inputs = try RunInputs(
            wanted, resume: resume, hooks: hooks, communicator: communicator, reporter: reporter)
        (source, loader, evaluator) = (inputs.source, inputs.loader, inputs.evaluator)
        (scheduler, resumedState, dataIdentity) = (inputs.scheduler, resume.state, inputs.dataIdentity)

        // Threads, precision, memory.
        let ranks = communicator.localSize
        let computing = try RunCompute(inputs, ranksOnHost: ranks, communicator: communicator, reporter: reporter)
        configuration = computing.configuration
        compute = computing.compute
        memoryPlan = try communicator.agreeing {
            try computing.plan(inputs.loader.plan, ranks: ranks, on: communicator).fitting()
        }
        parts = try communicator.agreeing {
            try computing.makeParts(inputs.loader.plan, on: communicator, Memory())
        }
        let sampleWriter = computing.sampleWriter
        self.sampleWriter = sampleWriter
        ceiling =
            try communicator.isAny(reporter.isLive || configuration.hasEvents)
            ? Self.ceiling(computing, source.shape, on: communicator) : nil
        directory = try communicator.agreeing {
            isFirst ? try directory ?? RunDirectory(path: path, fileSystem: fileSystem) : nil
        }

        // Rank 0's weights are everyone's.
        try resume.fill(
            parts.model, parts.optimizer, source: source, seed: configuration.seed, communicator: communicator)

        // A step whose evaluation is still to come has not been recorded, or will be once more.
        let recorded = resume.state?.unevaluatedStep == nil ? scheduler.step : scheduler.step - 1
        let metricsLog = try communicator.agreeing {
            try directory.map {
                try MetricsLog(path: $0.metricsPath, keepingThrough: recorded, fileSystem: fileSystem) {
                    reporter.warning("a line of metrics.jsonl could not be written; is the disk full?")
                }
            }
        }
        let samplesLog = try communicator.agreeing {
            try directory.flatMap { directory -> SamplesLog? in
                // Without samples now, those that an earlier start wrote after this step go all the same.
                guard sampleWriter != nil || fileSystem.exists(directory.samplesPath) else { return nil }
                return try SamplesLog(path: directory.samplesPath, keepingThrough: recorded, fileSystem: fileSystem) {
                    reporter.warning("a line of samples.jsonl could not be written; is the disk full?")
                }
            }
        }
        let bytes = try communicator.agreeing {
            isFirst ? try DataBytes(training: inputs.loader.stream, inputs.evaluator) : nil
        }
        dataBytes = bytes
        let decided = configuration
        let eventLog = try communicator.agreeing {
            try directory.flatMap {
                try EventLog(
                    of: decided, in: $0, keepingThrough: recorded, bytesPerToken: bytes?.training,
                    fileSystem: fileSystem
                ) {
                    reporter.warning(
                        "an event for TensorBoard could not be written; is the disk full? The next start makes up for it"
                    )
                }
            }
        }
        let records: [(any RunRecord)?] = [metricsLog, samplesLog, eventLog]
        self.records = records.compactMap(\.self)
        let hosts = Set(try communicator.gatherHostNames()).sorted()
        startsLog = directory.map { [configuration] in
            StartsLog(
                path: $0.startsPath, configuration: configuration, hosts: hosts, communicator: communicator,
                fileSystem: fileSystem)
        }
        runDirectory = directory
        if isFirst {
            resume.changes(of: configuration, wanted: wanted, in: path, fileSystem: fileSystem)
                .forEach(reporter.line)
        }
        // Every option with its value, in the order of the command line.
        let json = OptionList(configuration.values).json.pretty + [0x0A]
        try communicator.agreeing { try directory?.writeConfiguration(json) }
        if let warning = metricsLog?.warning { reporter.warning(warning) }
        if let warning = sampleWriter?.warning { reporter.warning(warning) }
        if let advice = computing.threadPlan.advice { reporter.warning(advice) }
        if let saved = resume.state?.threadsPerRank, saved != computing.threadPlan.threads, wanted.threads == nil {
            reporter.warning(
                "threads change at this resume: \(saved) → \(computing.threadPlan.threads); give --threads \(saved) "
                    + "to keep them")
        }
        announce(reporter, communicator: communicator)
    }

    /// What the machine allows, measured beside the memory that the run has reserved; nil where no room is left for that.
    private static func ceiling(
        _ computing: RunCompute, _ shape: DecoderConfiguration, on communicator: any Communicator
    ) throws -> RunCeiling? {
        do {
            return try RunCeiling.measure(computing.compute, shape, computing.precision, on: communicator)
        } catch is AgreedError {
            return nil
        }
    }
}

/// The parts of a run that hold its memory. Made twice: for `MemoryPlan` with a memory that counts, and for the run.
struct RunParts {
    let optimizer: any Optimizer
    let gradients: Buffer<Float>
    let reducer: GradientReducer
    /// The loss of each micro-batch of a step.
    let losses: OrderedSum
    let squareSums: Buffer<Double>
    let model: any LanguageModel
    /// What samples are written with, by the model's own weights; nil where none are.
    let generator: (any TokenGenerator)?

    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    init(
        _ configuration: TrainingConfiguration, _ shape: DecoderConfiguration, _ precision: Precision,
        _ batch: BatchPlan,
        compute: Compute, communicator: any Communicator, memory: Memory, sampleWriter: SampleWriter? = nil
    ) throws {
        let layout = ParameterLayout(shape)
        gradients = try memory.buffer(.gradients, layout.count)
        squareSums = try Vector.squareSums(count: layout.count, memory: memory)
        losses = try OrderedSum(count: batch.microBatchCount, memory: memory)
        reducer = try GradientReducer(
            communicator: communicator, gradients: gradients,
            bucketElements: configuration.bucketBytes.map { max(1, $0 / MemoryLayout<Float>.stride) },
            mode: configuration.reduction, microBatchesPerRank: batch.accumulation, overlap: configuration.overlap,
            memory: memory)
        optimizer = try configuration.makeOptimizer(layout, compute, communicator, memory)
        // Last, because it asks oneDNN, after a look at what there is so far.
        model = try makeLanguageModel(
            shape, precision: precision, microBatch: batch.microBatch, compute: compute,
            recomputes: configuration.recompute, dropout: configuration.dropoutRates,
            pieceLengths: configuration.sequenceWarmup?.lengths ?? [], memory: memory)
        generator = try sampleWriter?.generator(model, compute: compute, memory: memory)
    }
}

/// The version of the program, which checkpoints carry.
package let swiftletVersion = "0.1.0"
