import Basics
import Checkpointing
import Collectives
import DataParallel
import Foundation
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
    let model: any LanguageModel
    let optimizer: AdamW
    let scheduler: LearningRateScheduler
    let source: ModelSource
    /// What the run resumed from, if it did.
    let resumedState: TrainerState?
    /// Rank 0's.
    let runDirectory: RunDirectory?
    /// Rank 0's.
    let metricsLog: MetricsLog?
    let dataIdentity: [String]

    init(_ wanted: TrainingConfiguration, communicator: any Communicator, reporter: any Reporter) throws {
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
            isFirst && FileManager.default.fileExists(atPath: path) ? try RunDirectory.open(path: path) : nil
        }
        let resume = try ResumePoint(
            configuration, directory: directory, communicator: communicator, reporter: reporter)
        try communicator.agreeing { try resume.complete(&configuration, reporter) }

        // Shape and data.
        let completed = configuration
        let source = try communicator.agreeing {
            // Missing data is the first thing to say, before what would have been found beside it.
            _ = try TokenStream(glob: wanted.trainData, vocabularySize: nil)
            return try ModelSource(completed, resumes: resume.state != nil, checkpoint: resume.checkpoint)
        }
        let shape = source.shape
        configuration.adopt(shape)
        let known = configuration
        let (loader, evaluator) = try communicator.agreeing {
            try known.validateTogether()
            return (
                try Self.makeLoader(known, shape, communicator: communicator),
                try Self.makeEvaluator(known, shape, communicator: communicator)
            )
        }
        dataIdentity = [loader.stream.identity]
        // The checkpoint's values too: a rank that was given one and a rank that was not must end with the same.
        try communicator.agree(
            on: [
                ("training data", loader.stream.identity), ("val-data", evaluator?.stream.identity ?? "none"),
                ("model", "\(shape)"),
            ] + configuration.comparedOverRanks)
        let identity = dataIdentity
        try communicator.agreeing { try resume.requireFit(source, dataIdentity: identity) }
        scheduler = try resume.scheduler(configuration, communicator: communicator, reporter: reporter)
        resumedState = resume.state
        directory = try communicator.agreeing { isFirst ? try directory ?? RunDirectory.open(path: path) : nil }

        // Threads, precision, memory.
        let threadPlan = ThreadPlan(requested: configuration.threads, communicator: communicator)
        configuration.threads = threadPlan.threads
        let compute = try communicator.agreeing { try Compute(threadCount: threadPlan.threads) }
        let precision = try Self.choosePrecision(
            configuration, compute: compute, width: shape.embeddingSize,
            communicator: communicator, reporter: reporter)
        configuration.precision = precision
        let microBatch = configuration.microBatch
        let model = try communicator.agreeing {
            try makeLanguageModel(shape, precision: precision, microBatch: microBatch, compute: compute)
        }
        optimizer = AdamW(
            AdamW.Hyperparameters(
                weightDecay: configuration.weightDecay, beta1: configuration.beta1, beta2: configuration.beta2,
                epsilon: configuration.epsilon),
            ranges: model.layout.decayRanges)

        // Rank 0's weights are everyone's.
        try resume.fill(model, optimizer, source: source, seed: configuration.seed, communicator: communicator)

        let step = scheduler.step
        metricsLog = try communicator.agreeing {
            try directory.map { try MetricsLog(path: $0.metricsPath, keepingThrough: step) }
        }
        self.configuration = configuration
        self.source = source
        self.loader = loader
        self.evaluator = evaluator
        self.compute = compute
        self.model = model
        runDirectory = directory
        let decided = configuration
        try communicator.agreeing { try directory?.writeConfiguration(decided.json) }
        if let advice = threadPlan.advice { reporter.warning(advice) }
        if let saved = resume.state?.threadsPerRank, saved != threadPlan.threads, wanted.threads == nil {
            reporter.warning(
                "threads change at this resume: \(saved) → \(threadPlan.threads); give --threads \(saved) to keep them")
        }
        announce(reporter, communicator: communicator)
    }

    private static func makeLoader(
        _ configuration: TrainingConfiguration, _ shape: GPTConfiguration, communicator: any Communicator
    ) throws -> BatchLoader {
        let plan = try BatchPlan(
            globalBatch: configuration.globalBatch, microBatch: configuration.microBatch,
            worldSize: communicator.worldSize)
        let stream = try TokenStream(glob: configuration.trainData, vocabularySize: shape.vocabularySize)
        // One rank a host reads all tokens once; the others' reads are checked as they come.
        if communicator.localRank == 0 { try stream.validateTokenIDs(vocabularySize: shape.vocabularySize) }
        let sequences = try stream.requireSequences(contextLength: shape.contextLength)
        return BatchLoader(
            stream: stream,
            order: SampleOrder(seed: configuration.seed, sequenceCount: sequences, shuffle: configuration.shuffle),
            plan: plan, contextLength: shape.contextLength)
    }

    private static func makeEvaluator(
        _ configuration: TrainingConfiguration, _ shape: GPTConfiguration, communicator: any Communicator
    ) throws -> Evaluator? {
        guard let pattern = configuration.validationData else { return nil }
        let stream = try TokenStream(glob: pattern, vocabularySize: shape.vocabularySize)
        if communicator.localRank == 0 { try stream.validateTokenIDs(vocabularySize: shape.vocabularySize) }
        return try Evaluator(
            stream: stream, contextLength: shape.contextLength, sequences: configuration.evalSequences)
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
                let choice = try PrecisionChoice.measure(compute, width: width)
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

extension TrainingConfiguration {
    /// `config.json` of a run directory: every option with its value, in the order of the command line.
    var json: [UInt8] {
        var object = OptionList()
        for (name, value) in values { object.set(name, value) }
        return (try? JSONValue.encoding(object).bytes(pretty: true)) ?? []
    }
}

/// The program's own facts.
public enum SwiftletVersion {
    /// The version that checkpoints carry.
    public static let current = "0.1.0"
}
