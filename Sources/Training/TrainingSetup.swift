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
        try communicator.agree(on: [("swiftlet", SwiftletVersion.current)] + configuration.comparedOverRanks)
        if configuration.debug, communicator.worldSize > 1 {
            throw AgreedError(
                description: "--debug is for one rank, this run has \(communicator.worldSize); start it without mpirun",
                exitCode: 64, speaker: 0)
        }

        // What cannot be written at the end is better known now.
        if let path = configuration.trace {
            try communicator.agreeing { if isFirst { try TraceFile.write([], to: path) } }
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

        // Shape and data.
        let completed = configuration
        let (training, validation) = try communicator.agreeing {
            // Missing data is the first thing to say, before what would have been found beside it.
            (
                try TokenStream(glob: completed.trainData),
                try completed.validationData.map { try TokenStream(glob: $0) }
            )
        }
        dataIdentity = [try Self.identity("training data", training, on: communicator)]
        let validationIdentity = try Self.identity("val-data", validation, on: communicator)
        let source = try communicator.agreeing {
            try ModelSource(
                completed, resumes: resume.state != nil, checkpoint: resume.checkpoint,
                data: training.shards[0].path.parent)
        }
        let shape = source.shape
        configuration.adopt(shape)
        let known = configuration
        let (loader, evaluator) = try communicator.agreeing {
            try known.validateTogether()
            return (
                try Self.makeLoader(known, shape, training, communicator: communicator),
                try Self.makeEvaluator(known, shape, validation, validationIdentity, communicator: communicator)
            )
        }
        // The checkpoint's values too: a rank that was given one and a rank that was not must end with the same.
        try communicator.agree(on: [("model", "\(shape)")] + configuration.comparedOverRanks)
        let identity = dataIdentity
        let remarks = try communicator.agreeing {
            try resume.requireFit(source, dataIdentity: identity)
            return isFirst
                ? try source.requireOneTokenizer(
                    training: training, validation: validation, allowOther: known.allowOtherTokenizer) : []
        }
        for remark in remarks { reporter.line(remark) }
        scheduler = try resume.scheduler(configuration, communicator: communicator, reporter: reporter)
        resumedState = resume.state

        // Threads, precision, memory.
        let requestedThreads = configuration.threads
        let threadPlan = try communicator.agreeing {
            try ThreadPlan(requested: requestedThreads, ranksOnHost: communicator.localSize)
        }
        configuration.threads = threadPlan.threads
        let compute = try communicator.agreeing { try Compute(threadCount: threadPlan.threads) }
        let precision = try Self.choosePrecision(
            configuration, compute: compute, width: shape.embeddingSize,
            communicator: communicator, reporter: reporter)
        configuration.precision = precision
        let decided = configuration
        func makeParts(_ batch: BatchPlan, _ memory: Memory) throws -> RunParts {
            try RunParts(
                decided, shape, precision, batch, compute: compute, communicator: communicator, memory: memory)
        }
        memoryPlan = try communicator.agreeing {
            try MemoryPlan(ranks: communicator.localSize, largest: loader.plan.largestMicroBatch) {
                microBatch, memory in
                _ = try makeParts(try loader.plan.with(microBatch: microBatch), memory)
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
        try communicator.agreeing { try directory?.writeConfiguration(decided.json) }
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

    private static func makeLoader(
        _ configuration: TrainingConfiguration, _ shape: GPTConfiguration, _ stream: TokenStream,
        communicator: any Communicator
    ) throws -> BatchLoader {
        let plan = try BatchPlan(
            globalBatch: configuration.globalBatch, microBatch: configuration.microBatch,
            worldSize: communicator.worldSize)
        let stream = try stream.checked(for: shape, communicator)
        let sequences = try stream.requireSequences(contextLength: shape.contextLength)
        return BatchLoader(
            stream: stream,
            order: SampleOrder(seed: configuration.seed, sequenceCount: sequences, shuffle: configuration.shuffle),
            plan: plan, contextLength: shape.contextLength)
    }

    private static func makeEvaluator(
        _ configuration: TrainingConfiguration, _ shape: GPTConfiguration, _ stream: TokenStream?, _ identity: String,
        communicator: any Communicator
    ) throws -> Evaluator? {
        guard let stream = try stream?.checked(for: shape, communicator) else { return nil }
        return try Evaluator(
            stream: stream, identity: identity, contextLength: shape.contextLength,
            sequences: configuration.evalSequences)
    }

    private static func choosePrecision(
        _ configuration: TrainingConfiguration, compute: Compute, width: Int,
        communicator: any Communicator, reporter: any Reporter
    ) throws -> Precision {
        let choice: Precision
        // At a resume this is what the run began with.
        if let wanted = configuration.precision {
            choice = wanted
        } else {
            let measured = try communicator.fromRankZero {
                let choice = try PrecisionChoice(compute, width: width)
                reporter.line(choice.reason)
                return Array(choice.precision.rawValue.utf8)
            }
            choice = Precision(rawValue: String(decoding: measured, as: UTF8.self)) ?? .fp32
        }
        try communicator.agreeing {
            guard choice == .fp32 || Compute.hasFastBFloat16 else {
                throw TrainingError.usage(
                    "--precision bf16 needs a CPU with bf16 instructions (AVX512_BF16), and this one has none; "
                        + "use --precision fp32, which is hundreds of times faster here")
            }
        }
        return choice
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
    fileprivate func checked(for shape: GPTConfiguration, _ communicator: any Communicator) throws -> TokenStream {
        if communicator.localRank == 0 { try validateTokenIDs(vocabularySize: shape.vocabularySize) }
        var stream = self
        stream.vocabularySize = shape.vocabularySize
        return stream
    }
}

extension TrainingConfiguration {
    /// `config.json` of a run directory: every option with its value, in the order of the command line.
    var json: [UInt8] {
        var object = OptionList()
        for (name, value) in values { object.set(name, value) }
        return object.json.pretty + [0x0A]
    }
}

/// The program's own facts.
package enum SwiftletVersion {
    /// The version that checkpoints carry.
    package static let current = "0.1.0"
}
