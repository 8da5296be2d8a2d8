import Basics
import Collectives
import DataParallel
import Foundation
import Kernels
import TokenData
import Transformer

/// `swiftlet bench`: what this machine can do, what a training step reaches of it, and where the rest goes.
package struct Benchmark {
    /// What `bench` can be told.
    package struct Options: OptionSettings {
        /// Shape, micro-batch, precision and the like, as `train` has them.
        package var run = TrainingConfiguration()
        package var accumulation = 1
        /// Nil: as `GradientBuckets` says.
        package var bucketKiB: Int?
        package var steps = 10
        package var json = false
        package var namesGiven: Set<String> = []

        package init() { run.vocabularySize = 8192 }

        package static let command = "bench"
        package static let options: [CommandOption<Options>] =
            [
                "architecture", "layers", "heads", "kv-heads", "head-size", "embedding-size", "context-length",
                "vocab-size", "inner-size", "activation", "untied-head", "micro-batch", "precision", "reduction",
                "overlap", "threads", "recompute", "optimizer", "muon-precision",
            ].compactMap { TrainingConfiguration.option($0)?.lifted(to: \Options.run) } + [
                .init(
                    "accumulation", \.accumulation, .whole(BatchPlan.sizes), "Micro-batches of a rank in one step."),
                .init(
                    "bucket", \.bucketKiB, .optional(.whole(1...1 << 20)),
                    otherwise: "an eighth of them, 1024 to 8192", "KiB of gradients that are reduced at a time."),
                .init("steps", \.steps, .whole(1...100_000), "Steps to time."),
                .init("json", \.json, .flag, "Print JSON."),
            ]
    }

    /// What a benchmark found; the JSON of `--json`.
    package struct Report: Codable, Sendable {
        package var ranks: Int
        package var threadsPerRank: Int
        package var precision: String
        package var parameters: Int
        package var microBatch: Int
        package var globalBatch: Int
        package var contextLength: Int
        package var steps: Int
        package var ceilings: MachineCeilings
        /// Median milliseconds of a step.
        package var stepMilliseconds: Double
        package var tokensPerSecond: Double
        /// Model FLOP/s of all ranks, in GFLOP/s.
        package var modelGigaflops: Double
        /// Model FLOP/s as a share of the matmul ceiling of all ranks at once: the median of rounds of both in turns.
        package var modelFlopsUtilization: Double
        /// The same as a share of what the multiplying instruction does from registers alone.
        package var instructionUtilization: Double
        /// Reduction and waiting as a share of the step.
        package var averagingShare: Double
        /// What updates the weights, by its word.
        package var optimizer: String
        /// The update as a share of the step, with all that Muon does; of the rank where it is the largest.
        package var optimizerShare: Double
        /// Newton–Schulz as a share of the step, likewise; nil without Muon.
        package var newtonSchulzShare: Double?
        /// Of its products.
        package var muonPrecision: String?
        package var peakMemoryMegabytes: Double
        package var breakdown: StepBreakdown
    }

    /// What `flopsPerToken` counts.
    package static let flopsFormula =
        "6 × parameters without position embeddings + 12 · layers · heads' width · context a token"

    /// Measures ceilings, then times steps of the real trainer on random tokens. All ranks call it together.
    package static func run(_ options: Options, communicator: any Communicator) throws -> Report {
        try communicator.agree(on: options.values)
        // A name of its own for every call; the ranks of all hosts have the same.
        let name = try communicator.fromRankZero { Array("swiftlet-bench-\(UUID().uuidString)".utf8) }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            String(decoding: name, as: UTF8.self))
        defer { if communicator.localRank == 0 { try? FileManager.default.removeItem(at: folder) } }
        var configuration = options.run
        configuration.globalBatch = try communicator.agreeing {
            try globalBatch(options, ranks: communicator.worldSize)
        }
        configuration.trainData = FilePath(folder.appendingPathComponent("train_000000.bin").path)
        configuration.runDirectory = FilePath(folder.appendingPathComponent("run").path)
        configuration.steps = 1_000_000
        configuration.bucketBytes = options.bucketKiB.map { $0 << 10 }
        let (context, vocabulary) = (configuration.contextLength, configuration.vocabularySize ?? 8192)
        try communicator.agreeing {
            guard communicator.localRank == 0 else { return }
            try writeTokens(to: folder, count: max(1 << 20, context + 1), vocabulary: vocabulary)
        }

        let trainer = try Trainer(configuration, communicator: communicator, reporter: SilentReporter())
        for _ in 0..<3 { _ = try trainer.trainingStep() }
        let speed = try Speed(trainer, steps: options.steps, on: communicator)
        let ceilings = try MachineCeilings.measure(
            trainer.setup.compute, mode: configuration.reduction,
            known: (trainer.model.precision, speed.ceiling, speed.instruction),
            on: communicator)
        var report = Report(
            trainer.model.configuration, trainer.setup.loader.plan, threads: trainer.setup.compute.pool.threadCount,
            precision: trainer.model.precision, ceilings: ceilings, milliseconds: speed.milliseconds,
            utilization: speed.utilization, instructionUtilization: speed.instructionUtilization,
            peakMemory: speed.peakMemory, timelines: speed.timelines,
            muon: MuonWork(trainer.setup.configuration, trainer.model.layout, on: communicator))
        // Ranks do not own quite the same.
        report.optimizerShare = try communicator.allReduce(report.optimizerShare, .maximum)
        if let share = report.newtonSchulzShare {
            report.newtonSchulzShare = try communicator.allReduce(share, .maximum)
        }
        return report
    }

    /// Steps and matmul ceiling in turns: on a machine that others use too, both see the same minutes.
    private struct Speed {
        /// Median milliseconds of a step.
        var milliseconds: Double
        /// Median matmul GFLOP/s of a rank while all work.
        var ceiling: Double
        /// Median over the rounds: what a round's steps reached of its ceiling.
        var utilization: Double
        /// The same two of the multiplying instruction.
        var instruction: Double
        var instructionUtilization: Double
        /// The largest rank's peak in MB, before the ceiling took memory of its own.
        var peakMemory: Double
        /// What each of the steps consisted of.
        var timelines: [[Timeline.Event]]

        init(_ trainer: Trainer, steps: Int, on communicator: any Communicator) throws {
            let rounds = min(5, steps)
            let tokens = Double(trainer.setup.loader.plan.globalBatch * trainer.model.configuration.contextLength)
            let flops = tokens * trainer.model.configuration.flopsPerToken / Double(communicator.worldSize)
            var products: ProductSpeed?
            var (times, ceilings, utilizations, memory): ([Double], [Double], [Double], Double) = ([], [], [], 0)
            var (instructions, instructionUtilizations): ([Double], [Double]) = ([], [])
            let timeline = Timeline()
            var timelines: [[Timeline.Event]] = []
            trainer.record(on: timeline)
            defer { trainer.record(on: nil) }
            for round in 0..<rounds {
                var own: [Double] = []
                for _ in 0..<Benchmark.steps(ofRound: round, of: rounds, steps: steps) {
                    timeline.removeAll()
                    own.append(try trainer.trainingStep().measured.milliseconds)
                    timelines.append(timeline.events)
                }
                if round == 0 { memory = try communicator.allReduce(Benchmark.peakMemory(), .maximum) }
                let made = try products ?? ProductSpeed(trainer.setup.compute, trainer.model.precision)
                products = made
                let ceiling = try made.gigaflopsTogether(repetitions: 9, on: communicator)
                let instruction = try made.instructionTogether(on: communicator)
                instructions.append(instruction)
                instructionUtilizations.append(
                    Benchmark.utilization(flops: flops, milliseconds: own, ceiling: instruction))
                times += own
                ceilings.append(ceiling)
                utilizations.append(Benchmark.utilization(flops: flops, milliseconds: own, ceiling: ceiling))
            }
            milliseconds = try communicator.allReduce(median(times), .maximum)
            ceiling = median(ceilings)
            utilization = try communicator.allReduce(median(utilizations), .minimum)
            instruction = median(instructions)
            instructionUtilization = try communicator.allReduce(median(instructionUtilizations), .minimum)
            peakMemory = memory
            self.timelines = timelines
        }
    }

    /// What steps of these milliseconds reached of a ceiling, as a share: `flops` of one rank a step at their median
    /// time, against `ceiling` in GFLOP/s of one rank.
    package static func utilization(flops: Double, milliseconds: [Double], ceiling: Double) -> Double {
        flops / (median(milliseconds) * 1e6) / ceiling
    }

    /// The number of steps of a round, from 0, where `steps` are shared over `rounds` as evenly as can be.
    package static func steps(ofRound round: Int, of rounds: Int, steps: Int) -> Int {
        steps * (round + 1) / rounds - steps * round / rounds
    }

    /// Sequences of a step over all ranks.
    /// - Throws: `ExitError` (64) when they are more than a step can have.
    package static func globalBatch(_ options: Options, ranks: Int) throws(ExitError) -> Int {
        let own = options.run.microBatch * options.accumulation
        guard BatchPlan.sizes.contains(own), BatchPlan.sizes.contains(own * ranks) else {
            throw .usage(
                "--micro-batch \(options.run.microBatch) × --accumulation \(options.accumulation) × \(ranks) ranks are more "
                    + "sequences than a step can have, \(BatchPlan.sizes.upperBound); make one of them smaller")
        }
        return own * ranks
    }

    /// Random tokens in llm.c's format.
    private static func writeTokens(to folder: URL, count: Int, vocabulary: Int) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let writer = TokenShardWriter(directory: FilePath(folder.path), prefix: "train", vocabularySize: vocabulary)
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

extension Benchmark.Report {
    /// What the measurements of all ranks amount to.
    /// - Parameters:
    ///   - timelines: what each of the steps consisted of; the others are the report's figures of their names.
    ///   - muon: what its matrices need of this rank; nil without it.
    package init(
        _ shape: DecoderConfiguration, _ plan: BatchPlan, threads: Int, precision: Precision, ceilings: MachineCeilings,
        milliseconds: Double, utilization: Double, instructionUtilization: Double, peakMemory: Double,
        timelines: [[Timeline.Event]], muon: MuonWork? = nil
    ) {
        let tokens = plan.globalBatch * shape.contextLength
        ranks = plan.worldSize
        threadsPerRank = threads
        self.precision = precision.rawValue
        parameters = shape.parameterCount
        microBatch = plan.microBatch
        globalBatch = plan.globalBatch
        contextLength = shape.contextLength
        steps = timelines.count
        self.ceilings = ceilings
        stepMilliseconds = milliseconds
        tokensPerSecond = Double(tokens) / milliseconds * 1000
        modelGigaflops = tokensPerSecond * shape.flopsPerToken / 1e9
        modelFlopsUtilization = utilization
        self.instructionUtilization = instructionUtilization
        peakMemoryMegabytes = peakMemory
        breakdown = StepBreakdown(
            timelines, shape, tokens: tokens / plan.worldSize, precision: precision, ceilings: ceilings,
            muon: muon)
        averagingShare = breakdown.milliseconds("reduction", "waiting") / milliseconds
        optimizer = (muon == nil ? OptimizerKind.adamW : .muon).rawValue
        optimizerShare = breakdown.milliseconds("optimizer", "Newton-Schulz", "matrix exchange") / milliseconds
        newtonSchulzShare = muon.map { _ in breakdown.milliseconds("Newton-Schulz") / milliseconds }
        muonPrecision = muon?.precision.rawValue
    }
}
