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
    /// Rank 0's.
    let metricsLog: MetricsLog?
    let dataIdentity: [String]

    init(
        _ wanted: TrainingConfiguration, communicator: any Communicator, reporter: any Reporter,
        fileSystem: any FileSystem
    ) throws {
        var configuration = wanted
        let isFirst = communicator.rank == 0
        try communicator.agree(on: [("swiftlet", swiftletVersion)] + configuration.comparedOverRanks)
        if configuration.debug, communicator.worldSize > 1 {
            throw AgreedError(
                ExitError.usage(
                    "--debug is for one rank, this run has \(communicator.worldSize); start it without mpirun"))
        }

        // What cannot be written at the end is better known now.
        if let path = configuration.trace {
            try communicator.agreeing { if isFirst { try Tracer.write([], to: path) } }
        }

        // The checkpoint to go on from, where there is one: it says what was not given. A new directory is made only
        // when nothing else can go wrong.
        let path = configuration.runDirectory
        var directory = try communicator.agreeing {
            isFirst && fileSystem.exists(path) ? try RunDirectory(path: path, fileSystem: fileSystem) : nil
        }
        let resume = try ResumePoint(
            configuration, directory: directory, communicator: communicator, reporter: reporter)
        try communicator.agreeing { try resume.complete(&configuration, reporter) }
        // A resume goes on with what its run began with.
        let recipe = resume.state == nil ? configuration.recipe : nil
        var fromRecipe = recipe.map { configuration.followShape(of: $0) } ?? []

        // Shape and data.
        let (training, validation) = try communicator.agreeing {
            // Missing data is the first thing to say, before what would have been found beside it.
            (
                try TokenStream(glob: configuration.trainData),
                try configuration.validationData.map { try TokenStream(glob: $0) }
            )
        }
        dataIdentity = [try Self.identity("training data", training, on: communicator)]
        let validationIdentity = try Self.identity("val-data", validation, on: communicator)
        let source = try communicator.agreeing {
            try ModelSource(
                configuration, saved: resume.model, checkpoint: resume.checkpoint,
                data: training.shards[0].path.parent)
        }
        let shape = source.shape
        configuration.adopt(shape)
        let context = shape.contextLength
        if let recipe {
            fromRecipe += configuration.follow(recipe)
            reporter.line(recipe.remark(fromRecipe))
        } else if let recipe = configuration.recipe {
            reporter.line("recipe \(recipe.rawValue) sets nothing at a resume: the checkpoint has the values")
        }
        let (loader, evaluator) = try communicator.agreeing {
            try configuration.validateTogether()
            let plan = try BatchPlan(
                globalBatch: configuration.globalBatch, microBatch: configuration.microBatch,
                worldSize: communicator.worldSize)
            let stream = try training.checked(for: shape, communicator)
            let order = try SampleOrder(
                seed: configuration.seed, sequenceCount: stream.requireSequences(contextLength: context),
                shuffle: configuration.shuffle)
            let evaluator = try validation.map {
                try Evaluator(
                    stream: $0.checked(for: shape, communicator), identity: validationIdentity, contextLength: context,
                    sequences: configuration.evalSequences)
            }
            return (BatchLoader(stream: stream, order: order, plan: plan, contextLength: context), evaluator)
        }
        // The checkpoint's values too: a rank that was given one and a rank that was not must end with the same.
        try communicator.agree(on: [("model", "\(shape)")] + configuration.comparedOverRanks)
        let identity = dataIdentity
        let remarks = try communicator.agreeing {
            try resume.requireFit(source, dataIdentity: identity)
            return isFirst
                ? try source.requireOneTokenizer(
                    training: training, validation: validation, allowOther: configuration.allowOtherTokenizer) : []
        }
        for remark in remarks { reporter.line(remark) }
        scheduler = try resume.scheduler(configuration, communicator: communicator, reporter: reporter)
        resumedState = resume.state

        // Threads, precision, memory.
        let threadPlan = try communicator.agreeing {
            try ThreadPlan(requested: configuration.threads, ranksOnHost: communicator.localSize)
        }
        configuration.threads = threadPlan.threads
        let compute = try communicator.agreeing { try Compute(threadCount: threadPlan.threads) }
        // At a resume the precision is what the run began with.
        if configuration.precision == nil {
            let isHalf = try communicator.fromRankZero {
                let (precision, reason) = try Precision.choice(compute, width: shape.embeddingSize)
                reporter.line(reason)
                return precision == .bf16 ? [1] : []
            }
            configuration.precision = isHalf.isEmpty ? .fp32 : .bf16
        }
        let precision = configuration.precision ?? .fp32
        try communicator.agreeing { try precision.requireInstructions() }
        try configuration.decideMuonPrecision(on: communicator)
        func makeParts(_ batch: BatchPlan, _ memory: Memory) throws -> RunParts {
            try RunParts(
                configuration, shape, precision, batch, compute: compute, communicator: communicator, memory: memory)
        }
        memoryPlan = try communicator.agreeing {
            try MemoryPlan(ranks: communicator.localSize, largest: loader.plan.largestMicroBatch) {
                _ = try makeParts(loader.plan.with(microBatch: $0), $1)
            }
        }
        parts = try communicator.agreeing { try makeParts(loader.plan, Memory()) }
        directory = try communicator.agreeing {
            isFirst ? try directory ?? RunDirectory(path: path, fileSystem: fileSystem) : nil
        }

        // Rank 0's weights are everyone's.
        try resume.fill(
            parts.model, parts.optimizer, source: source, seed: configuration.seed, communicator: communicator)

        let step = scheduler.step
        metricsLog = try communicator.agreeing {
            try directory.map { try MetricsLog(path: $0.metricsPath, keepingThrough: step, fileSystem: fileSystem) }
        }
        self.configuration = configuration
        self.source = source
        self.loader = loader
        self.evaluator = evaluator
        self.compute = compute
        runDirectory = directory
        // Every option with its value, in the order of the command line.
        let json = OptionList(configuration.values).json.pretty + [0x0A]
        try communicator.agreeing { try directory?.writeConfiguration(json) }
        if let warning = metricsLog?.warning { reporter.warning(warning) }
        if let advice = threadPlan.advice { reporter.warning(advice) }
        if let saved = resume.state?.threadsPerRank, saved != threadPlan.threads, wanted.threads == nil {
            reporter.warning(
                "threads change at this resume: \(saved) → \(threadPlan.threads); give --threads \(saved) to keep them")
        }
        announce(reporter, communicator: communicator)
    }

    /// A name for the contents of a stream, the same on all ranks or an error of all. One rank a host reads them; the
    /// others compare what the headers say.
    private static func identity(
        _ what: String, _ stream: TokenStream?, on communicator: any Communicator
    ) throws -> String {
        let reads = communicator.localRank == 0
        let own = try communicator.agreeing { try stream.map { reads ? try $0.identity() : "" } ?? "none" }
        let first = String(decoding: try communicator.fromRankZero { Array(own.utf8) }, as: UTF8.self)
        let size = stream.map { ", \($0.tokenCount) tokens in \($0.shards.count) shards" } ?? ""
        try communicator.agree(on: [(what, (reads || stream == nil ? own : first) + size)])
        return first
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

    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    init(
        _ configuration: TrainingConfiguration, _ shape: DecoderConfiguration, _ precision: Precision,
        _ batch: BatchPlan,
        compute: Compute, communicator: any Communicator, memory: Memory
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
    }
}

extension BatchPlan {
    /// The same batch in micro-batches of another size, which must divide it; nil keeps the size.
    fileprivate func with(microBatch: Int?) throws(ExitError) -> BatchPlan {
        try BatchPlan(globalBatch: globalBatch, microBatch: microBatch ?? self.microBatch, worldSize: worldSize)
    }

    /// The largest size of micro-batches below this one that divides the batch and fits.
    fileprivate func largestMicroBatch(_ fits: (Int) throws -> Bool) rethrows -> Int? {
        let share = globalBatch / worldSize
        let roots = (1...max(1, Int(Double(share).squareRoot()))).filter { share % $0 == 0 }
        let sizes = roots.map { share / $0 } + roots.reversed()
        return try sizes.first { try $0 < microBatch && fits($0) }
    }
}

extension TokenStream {
    /// The same with ids checked against a model's vocabulary: all of them by one rank a host, each again when it is read.
    fileprivate func checked(for shape: DecoderConfiguration, _ communicator: any Communicator) throws -> TokenStream {
        if communicator.localRank == 0 { try validateTokenIDs(vocabularySize: shape.vocabularySize) }
        var stream = self
        stream.vocabularySize = shape.vocabularySize
        return stream
    }
}

/// The version of the program, which checkpoints carry.
package let swiftletVersion = "0.1.0"
