import Basics
import Checkpointing
import Collectives
import Kernels
import Optimization
import TokenData
import Transformer

extension RunPlan {
    /// Plans a run. All ranks call it together; rank 0 has all of the result, of the others the disk's part is missing.
    ///
    /// Nothing on the disk is made or changed, and a run directory in use is no obstacle.
    /// - Parameters:
    ///   - wanted: training data and run directory may be missing.
    ///   - machine: whose memory there is.
    /// - Throws: `AgreedError` on all ranks for what a run would refuse, but for what is a warning of a plan: a batch that
    ///   does not divide, and memory that does not suffice.
    package static func make(
        _ wanted: TrainingConfiguration, _ options: Options, communicator: any Communicator,
        fileSystem: any FileSystem = LocalFileSystem(), machine: Machine = Machine()
    ) throws -> RunPlan {
        try communicator.agree(
            on: [("swiftlet", swiftletVersion)] + wanted.comparedOverRanks + options.values)
        let reporter = PlanReporter()
        let ranks = options.ranks ?? communicator.worldSize
        let isHere = ranks == communicator.worldSize
        let disk = communicator.rank == 0 && !wanted.runDirectory.isEmpty
        let saved = disk ? CheckpointDirectory(runDirectory: wanted.runDirectory, fileSystem: fileSystem) : nil
        let resume = try ResumePoint(wanted, checkpoints: saved, communicator: communicator, reporter: reporter)
        var misfit: String?
        let planning = RunInputs.Planning(ranks: ranks) { configuration in
            let (batch, remark) = try BatchPlan.nearest(configuration, ranks: ranks)
            misfit = remark
            return batch
        }
        let inputs = try RunInputs(
            wanted, resume: resume, planning: planning, communicator: communicator, reporter: reporter)
        let ranksOnHost = isHere ? communicator.localSize : ranks
        let computing = try RunCompute(
            inputs, ranksOnHost: ranksOnHost, communicator: communicator, reporter: reporter)

        // What a run would reserve, and what it would save of that.
        let counted: any Communicator = isHere ? communicator : PlannedRanks(ranks)
        let (memoryPlan, checkpointBytes) = try communicator.agreeing {
            let batch = inputs.loader.plan
            let memoryPlan = try computing.plan(batch, ranks: ranksOnHost, machine: machine, on: counted)
            let bytes = try inputs.checkpointBytes(computing.configuration, on: counted, computing.compute)
            return (memoryPlan, bytes)
        }
        let program = try communicator.allReduce(Int64(Machine().residentBytes ?? 0), .maximum)
        let isRefused = try communicator.isAny(memoryPlan.refusal != nil)

        var plan = RunPlan(
            inputs, computing, memoryPlan, ranks: ranks,
            program: Int(program) + startedLater + (isHere || ranks == 1 ? 0 : messagesOfRanks))
        plan.checkpoints = Checkpoints(
            inputs, bytes: checkpointBytes,
            freeBytes: saved == nil ? nil : fileSystem.freeBytes(around: wanted.runDirectory))
        plan.unmeasured =
            !options.measures
            ? "--no-measure"
            : !isHere
                ? "it is for \(ranks) ranks and was started with \(communicator.worldSize); start it with "
                    + "launch/local -n \(ranks)"
                : isRefused ? "there is not enough memory" : nil
        if plan.unmeasured == nil {
            try plan.measure(inputs, computing, memoryPlan, communicator: communicator)
        }
        let kept = try saved?.list().candidates.count ?? 0
        plan.notes = reporter.notes
        plan.warnings =
            reporter.warnings
            + [memoryPlan.refusal?.description, misfit, computing.threadPlan.advice].compactMap(\.self)
            + plan.remarks(computing.configuration, kept: kept)
        return plan
    }

    /// Makes real steps; where they fail, the plan says so and stands without times.
    private mutating func measure(
        _ inputs: RunInputs, _ computing: RunCompute, _ memoryPlan: MemoryPlan, communicator: any Communicator
    ) throws {
        let stages = inputs.stages
        do {
            let measured = try PlanMeasurement(
                inputs, computing, memoryPlan, stages: stages.map(\.lowerBound), communicator: communicator)
            memory.measuredPeak = measured.peakBytes
            // Not every page that is reserved is used: what steps came to is nearer.
            if let found = measured.peakBytes {
                memory.peak = found + Self.startedLater
                memory.program = max(0, memory.peak - memory.buffers)
            }
            let time = Time(measured, stages, self, computing.configuration)
            self.time = time
            if let evaluations, time.total > 0 {
                let spent = Double(evaluations.count) * time.evaluation
                self.evaluations?.share = spent / (spent + Double(length.steps) * time.step)
            }
        } catch let error as AgreedError {
            unmeasured = "it failed: \(error)"
        } catch  where communicator.worldSize == 1 {
            unmeasured = "it failed: \(error)"
        }
    }

    /// Bytes that a process takes after its plan: code that is generated, stacks, files that are read and written.
    private static let startedLater = 3 << 20

    /// Bytes that MPI takes in each of several ranks of a host, which a plan without them does not see.
    private static let messagesOfRanks = 24 << 20
}

extension RunPlan {
    /// What follows from the inputs alone.
    fileprivate init(
        _ inputs: RunInputs, _ computing: RunCompute, _ memoryPlan: MemoryPlan, ranks: Int, program: Int
    ) {
        let (shape, batch) = (inputs.source.shape, inputs.loader.plan)
        let configuration = computing.configuration
        let schedule = inputs.scheduler.schedule
        let hasData = !configuration.trainData.isEmpty
        let steps = schedule.totalSteps
        let positions = shape.positions == .learned ? shape.contextLength : 0
        model = Model(
            architecture: shape.architecture.rawValue, parameters: shape.parameterCount,
            parametersWithoutEmbeddings: shape.parameterCount
                - (shape.vocabularySize + positions) * shape.embeddingSize,
            layers: shape.layerCount, heads: shape.headCount, embeddingSize: shape.embeddingSize,
            contextLength: shape.contextLength, vocabularySize: shape.vocabularySize)
        let tokens = steps * batch.globalBatch * shape.contextLength
        let sequences = inputs.loader.sequenceCount ?? 0
        length = Length(
            steps: steps, stepsDone: inputs.scheduler.step, tokensPerStep: batch.globalBatch * shape.contextLength,
            tokens: tokens, tokensPerParameter: Double(tokens) / Double(shape.parameterCount),
            dataTokens: hasData ? inputs.loader.stream?.tokenCount : nil, dataSequences: hasData ? sequences : nil,
            epochs: hasData ? Double(steps * batch.globalBatch) / Double(sequences) : nil)
        self.batch = Batch(
            globalBatch: batch.globalBatch, microBatch: batch.microBatch, ranks: ranks,
            accumulation: batch.accumulation, threadsPerRank: configuration.threads ?? 1,
            precision: computing.precision.rawValue)
        var kinds: [String: Int] = [:]
        for (use, bytes) in memoryPlan.bytes where bytes > 0 { kinds[use.rawValue] = bytes }
        memory = MemoryNeed(
            kinds: kinds, buffers: memoryPlan.total, program: program, peak: saturatingSum(memoryPlan.total, program),
            available: memoryPlan.room)
        checkpoints = Checkpoints(inputs, bytes: 0, freeBytes: nil)
        evaluations = inputs.evaluator.map { evaluator in
            let count = RunPlan.events(each: configuration.evalInterval, after: 0, of: steps)
            // A pass without gradients is a third of one with them.
            let passes = Double(count * evaluator.count) / 3
            return Evaluations(
                count: count, sequences: evaluator.count, available: evaluator.available,
                tokens: evaluator.count * evaluator.contextLength,
                share: passes / (passes + Double(steps * batch.globalBatch)))
        }
        rates = Rates(schedule)
    }
}

extension RunPlan.Checkpoints {
    fileprivate init(_ inputs: RunInputs, bytes: Int, freeBytes: Int?) {
        let configuration = inputs.configuration
        let total = inputs.scheduler.schedule.totalSteps
        self.bytes = bytes
        saves = RunPlan.events(each: configuration.checkpointInterval, after: 0, of: total)
        atOnce = min(saves, configuration.keep + 1) + (configuration.keepBest ? 1 : 0)
        diskBytes = saturatingProduct(atOnce, bytes)
        self.freeBytes = freeBytes
        goesOnFrom = inputs.resume.state.map { CheckpointName.directory(step: $0.step) }
    }
}

extension RunPlan {
    /// How often something happens that comes every `interval` steps and after the last one: later than step `start`.
    package static func events(each interval: Int, after start: Int, of total: Int) -> Int {
        start >= total ? 0 : total / interval - start / interval + (total % interval == 0 ? 0 : 1)
    }
}

extension RunInputs {
    /// The parts of the run in which sequences have one length.
    var stages: [Range<Int>] {
        let total = scheduler.schedule.totalSteps
        let ends = (configuration.sequenceWarmup?.stages ?? []).map { LearningRateSchedule.steps($0.share, of: total) }
        let bounds = [0] + ends + [total]
        return zip(bounds, bounds.dropFirst()).filter { $0 < $1 }.map { $0..<$1 }
    }

    /// Bytes of a checkpoint's tensors and tokenizer; its other files are a few kilobytes.
    fileprivate func checkpointBytes(
        _ configuration: TrainingConfiguration, on communicator: any Communicator, _ compute: Compute
    ) throws -> Int {
        let layout = ParameterLayout(source.shape)
        let memory = Memory(planningWithin: Int.max)
        let optimizer = try configuration.makeOptimizer(layout, compute, communicator, memory)
        let weights: Buffer<Float> = try memory.buffer(.weights, layout.count)
        let tensors = try [layout.sources(of: weights), layout.sources(of: optimizer.moments)]
            .reduce(0) { try $0 + SafetensorsWriter.fileSize($1) }
        return tensors + (source.tokenizerFile?.count ?? 0)
    }
}

extension BatchPlan {
    /// The cut that options ask for, or the nearest one below that divides, with why it is not the one that was asked for.
    fileprivate static func nearest(
        _ configuration: TrainingConfiguration, ranks: Int
    ) throws -> (batch: BatchPlan, remark: String?) {
        let (global, micro) = (configuration.globalBatch, configuration.microBatch)
        do {
            return (try BatchPlan(globalBatch: global, microBatch: micro, worldSize: ranks), nil)
        } catch {
            let share = saturatingProduct(micro, ranks)
            let other = try BatchPlan(
                globalBatch: max(share, global / share * share), microBatch: micro, worldSize: ranks)
            return (other, "\(error); planned with --global-batch \(other.globalBatch)")
        }
    }
}

extension CheckpointDirectory {
    /// Those of a run, whether there are any or not.
    fileprivate init(runDirectory: FilePath, fileSystem: any FileSystem) {
        self.init(path: runDirectory.appending("checkpoints"), fileSystem: fileSystem)
    }
}

extension FileSystem {
    /// Bytes that may be written at a path, which need not exist yet.
    fileprivate func freeBytes(around path: FilePath) -> Int? {
        var place = path
        while !exists(place), place.parent != place { place = place.parent }
        return try? freeBytes(at: place)
    }
}
