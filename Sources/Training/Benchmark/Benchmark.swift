import Collectives
import DataParallel
import Foundation
import Kernels
import TokenData
import Transformer

/// `swiftlet bench`: what this machine can do, what a training step reaches of it, and where the rest goes.
public struct Benchmark {
    /// What a benchmark found; the JSON of `--json`.
    public struct Report: Codable, Sendable {
        public var ranks: Int
        public var threadsPerRank: Int
        public var precision: String
        public var parameters: Int
        public var microBatch: Int
        public var globalBatch: Int
        public var contextLength: Int
        public var steps: Int
        public var ceilings: MachineCeilings
        /// Median milliseconds of a step.
        public var stepMilliseconds: Double
        public var tokensPerSecond: Double
        /// Model FLOP/s of all ranks, in GFLOP/s.
        public var modelGigaflops: Double
        /// `modelGigaflops` as a share of the matmul ceiling of all ranks at once.
        public var modelFlopsUtilization: Double
        /// Reduction and waiting as a share of the step.
        public var averagingShare: Double
        public var peakMemoryMegabytes: Double
        public var breakdown: StepBreakdown
    }

    /// What `flopsPerToken` counts.
    public static let flopsFormula =
        "6 × parameters without position embeddings + 12 · layers · width · context a token"

    /// Measures ceilings, then times steps of the real trainer on random tokens. All ranks call it together.
    public static func run(
        _ wanted: TrainingConfiguration, steps: Int, communicator: any Communicator
    ) throws -> Report {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("swiftlet-bench-\(getppid())")
        defer { if communicator.localRank == 0 { try? FileManager.default.removeItem(at: folder) } }
        var configuration = wanted
        configuration.trainData = folder.appendingPathComponent("train_*.bin").path
        configuration.runDirectory = folder.appendingPathComponent("run").path
        configuration.evalBatches = 0
        configuration.steps = 1_000_000
        let vocabulary = configuration.vocabularySize ?? 8192
        configuration.vocabularySize = vocabulary
        let tokens = max(1 << 20, configuration.globalBatch * configuration.contextLength * 2 + 1)
        try communicator.agreeing {
            if communicator.localRank == 0 { try writeTokens(to: folder, count: tokens, vocabulary: vocabulary) }
        }

        let trainer = try Trainer(configuration, communicator: communicator, reporter: SilentReporter())
        // Speed without a recording, then a recording for the breakdown.
        for _ in 0..<3 { _ = try trainer.trainingStep() }
        var times: [Double] = []
        for _ in 0..<steps { times.append(try trainer.trainingStep().stepMilliseconds) }
        let timeline = Timeline()
        trainer.model.timeline = timeline
        var timelines: [[Timeline.Event]] = []
        for _ in 0..<max(3, steps / 2) {
            timeline.removeAll()
            _ = try trainer.trainingStep()
            timelines.append(timeline.events)
        }
        trainer.model.timeline = nil
        // Before the measurement of ceilings takes memory of its own.
        let memory = try communicator.allReduce(peakMemory(), .maximum)
        let ceilings = try MachineCeilings.measure(
            trainer.setup.compute, mode: configuration.reduction, on: communicator)
        return try report(
            trainer, ceilings, times: times, timelines: timelines, peakMemory: memory, on: communicator)
    }

    private static func report(
        _ trainer: Trainer, _ ceilings: MachineCeilings, times: [Double], timelines: [[Timeline.Event]],
        peakMemory: Double, on communicator: any Communicator
    ) throws -> Report {
        let shape = trainer.model.configuration
        let plan = trainer.setup.loader.plan
        let precision = trainer.model.precision
        let milliseconds = try communicator.allReduce(median(times), .maximum)
        let tokens = plan.globalBatch * shape.contextLength
        let speed = Double(tokens) / milliseconds * 1000
        let flops = speed * shape.flopsPerToken / 1e9
        let ceiling = (ceilings.matmulTogether[precision.rawValue] ?? 0) * Double(communicator.worldSize)
        let breakdown = StepBreakdown(
            timelines, shape, tokens: tokens / communicator.worldSize, precision: precision, ceilings: ceilings)
        let averaging = breakdown.parts.filter { $0.name == "reduction" || $0.name == "waiting" }
            .reduce(0) { $0 + $1.milliseconds }
        return Report(
            ranks: communicator.worldSize, threadsPerRank: trainer.setup.compute.pool.threadCount,
            precision: precision.rawValue, parameters: shape.parameterCount, microBatch: plan.microBatch,
            globalBatch: plan.globalBatch, contextLength: shape.contextLength, steps: times.count, ceilings: ceilings,
            stepMilliseconds: milliseconds, tokensPerSecond: speed, modelGigaflops: flops,
            modelFlopsUtilization: ceiling > 0 ? flops / ceiling : 0, averagingShare: averaging / milliseconds,
            peakMemoryMegabytes: peakMemory, breakdown: breakdown)
    }

    /// Random tokens in llm.c's format.
    private static func writeTokens(to folder: URL, count: Int, vocabulary: Int) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let writer = TokenShardWriter(
            directory: folder.path, prefix: "train", vocabularySize: vocabulary)
        var random = SplitMix64(seed: 1)
        let tokens = (0..<count).map { _ in Int32(random.next() % UInt64(vocabulary)) }
        try writer.append(tokens.span)
        _ = try writer.publish()
    }

    /// The largest resident size of this process so far, in MB.
    private static func peakMemory() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
    }
}
