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
        do {
            try RankAgreement.verifySameConfiguration(
                [("swiftlet", SwiftletVersion.current)] + configuration.shared, on: communicator)
        } catch let error as RankDisagreement {
            throw AgreedError(description: error.description, exitCode: error.exitCode, speaker: 0)
        }
        if configuration.debug, communicator.worldSize > 1 {
            throw AgreedError(
                description: "--debug is for one rank, this run has \(communicator.worldSize); start it without mpirun",
                exitCode: 64, speaker: 0)
        }

        // Shape and data.
        let source = try communicator.agreeing {
            // Missing data is the first thing to say, before what would have been found beside it.
            _ = try TokenStream(glob: wanted.trainData, vocabularySize: nil)
            return try ModelSource(wanted)
        }
        let shape = source.shape
        configuration.adopt(shape)
        let loader = try communicator.agreeing {
            try Self.makeLoader(configuration, shape, communicator: communicator)
        }
        let evaluator = try communicator.agreeing {
            try Self.makeEvaluator(configuration, shape, communicator: communicator)
        }
        dataIdentity = [loader.stream.identity]
        do {
            try RankAgreement.verifySameConfiguration(
                [
                    ("training data", loader.stream.identity), ("val-data", evaluator?.stream.identity ?? "none"),
                    ("model", "\(shape)"),
                ], on: communicator)
        } catch let error as RankDisagreement {
            throw AgreedError(description: error.description, exitCode: error.exitCode, speaker: 0)
        }

        // The run directory and the state to go on from.
        let opened = try communicator.agreeing {
            isFirst ? try RunDirectory.open(path: configuration.runDirectory) : nil
        }
        let resume = try ResumePoint(
            configuration, source: source, dataIdentity: dataIdentity, directory: opened, communicator: communicator,
            reporter: reporter)
        scheduler = resume.scheduler
        resumedState = resume.state

        // Threads, precision, memory.
        let threadPlan = ThreadPlan(requested: configuration.threads, communicator: communicator)
        configuration.threads = threadPlan.threads
        let compute = try communicator.agreeing { try Compute(threadCount: threadPlan.threads) }
        let precision = try Self.choosePrecision(
            configuration, resumed: resume.state, compute: compute, width: shape.embeddingSize,
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

        metricsLog = try communicator.agreeing {
            try opened.map { try MetricsLog(path: $0.metricsPath, keepingThrough: resume.scheduler.step) }
        }
        self.configuration = configuration
        self.source = source
        self.loader = loader
        self.evaluator = evaluator
        self.compute = compute
        self.model = model
        runDirectory = opened
        let effective = configuration
        try communicator.agreeing { try opened?.writeConfiguration(effective.json) }
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
        guard let pattern = configuration.validationData, configuration.evalBatches > 0 else { return nil }
        let stream = try TokenStream(glob: pattern, vocabularySize: shape.vocabularySize)
        if communicator.localRank == 0 { try stream.validateTokenIDs(vocabularySize: shape.vocabularySize) }
        return try Evaluator(
            stream: stream, contextLength: shape.contextLength, batchSize: configuration.microBatch,
            batches: configuration.evalBatches)
    }

    private static func choosePrecision(
        _ configuration: TrainingConfiguration, resumed: TrainerState?, compute: Compute, width: Int,
        communicator: any Communicator, reporter: any Reporter
    ) throws -> Precision {
        var choice: Precision
        if let wanted = configuration.precision {
            choice = wanted
        } else if let saved = resumed.flatMap({ Precision(rawValue: $0.precision) }) {
            choice = saved
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
    /// Takes over the shape that a model directory or a tokenizer gave.
    mutating func adopt(_ shape: GPTConfiguration) {
        layers = shape.layerCount
        heads = shape.headCount
        embeddingSize = shape.embeddingSize
        contextLength = shape.contextLength
        vocabularySize = shape.vocabularySize
    }

    /// `config.json` of a run directory: every option with its value, in the order of the command line.
    var json: [UInt8] {
        var object = OptionList()
        for (name, value) in effective { object.set(name, value) }
        return (try? JSONValue.encoding(object).bytes(pretty: true)) ?? []
    }
}

/// The program's own facts.
public enum SwiftletVersion {
    /// The version that checkpoints carry.
    public static let current = "0.1.0"
}
