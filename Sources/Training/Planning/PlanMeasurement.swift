import Basics
import Collectives
import Kernels
import Optimization

/// Steps and an evaluation of the run that is planned, really made on the ranks that plan it, and times of them.
struct PlanMeasurement {
    /// Steps that were timed.
    private(set) var steps = 0
    /// Seconds of a step in each of the run's stages, means; the slowest rank's.
    private(set) var stepSeconds: [Double] = []
    /// Seconds of a whole evaluation.
    private(set) var evaluationSeconds = 0.0
    /// Bytes a second of SHA-256, which every byte of a checkpoint goes through.
    private(set) var hashSpeed = 0.0
    /// The largest rank's, in bytes; nil where the system does not say.
    private(set) var peakBytes: Int?

    /// What the steps of a stage are timed for, in seconds and in steps.
    private static let (enough, fewest, most) = (4.0, 3, 200)

    /// Reserves the run's memory, makes steps in it and gives it back. All ranks measure together.
    /// - Parameter stages: the first step of each part of the run whose steps may cost otherwise.
    /// - Throws: `AgreedError` on all ranks when memory cannot be had or a step fails.
    init(
        _ inputs: RunInputs, _ computing: RunCompute, _ memoryPlan: MemoryPlan, stages: [Int],
        communicator: any Communicator
    ) throws {
        let parts = try communicator.agreeing {
            try computing.makeParts(inputs.loader.plan, on: communicator, Memory())
        }
        try inputs.resume.fill(
            parts.model, parts.optimizer, source: inputs.source, seed: computing.configuration.seed,
            communicator: communicator)
        let setup = TrainingSetup(inputs, computing, memoryPlan, parts, scheduler: try Self.standstill(inputs, at: 0))
        let trainer = Trainer(setup, communicator: communicator, reporter: SilentReporter())
        for stage in stages {
            trainer.scheduler = try Self.standstill(inputs, at: stage)
            let seconds = try time(trainer, shareOf: stages.count, communicator)
            stepSeconds.append(seconds)
        }
        if let evaluator = inputs.evaluator {
            evaluationSeconds = try Self.time(evaluator, trainer, communicator)
        }
        hashSpeed = try communicator.allReduce(try Self.hashSpeed(parts.model.weights), .minimum)
        peakBytes = try communicator.allReduce(Int64(Machine().peakResidentBytes ?? 0), .maximum).nonZero
    }

    /// A rate of 0: measured steps must not take the weights where numbers are no longer finite. Time does not depend on
    /// it, but on the step, which says how long sequences are.
    private static func standstill(_ inputs: RunInputs, at step: Int) throws -> LearningRateScheduler {
        let schedule = inputs.scheduler.schedule
        return LearningRateScheduler(
            schedule: try LearningRateSchedule(
                kind: .constant, base: 0, warmupSteps: 0, totalSteps: schedule.totalSteps,
                muonBase: schedule.muonBase.map { _ in 0 }),
            step: step)
    }

    /// The mean seconds of a step from here on, for a run has its slow ones too. The first ones touch memory for the first
    /// time and do not count.
    private mutating func time(
        _ trainer: Trainer, shareOf stages: Int, _ communicator: any Communicator
    ) throws -> Double {
        func seconds() throws -> Double {
            let own = try trainer.trainingStep().measured.milliseconds / 1000
            return try communicator.allReduce(own, .maximum)
        }
        _ = try seconds()
        let one = try seconds()
        let wanted = Self.enough / Double(stages) / max(one, 1e-6)
        let times = try (0..<min(Self.most, max(Self.fewest, Int(min(wanted, 1e6))))).map { _ in try seconds() }
        steps += times.count
        return times.reduce(0, +) / Double(times.count)
    }

    /// Seconds of an evaluation, from some rounds of micro-batches on all ranks.
    private static func time(
        _ evaluator: Evaluator, _ trainer: Trainer, _ communicator: any Communicator
    ) throws -> Double {
        let share = trainer.model.microBatch * communicator.worldSize
        let rounds = (evaluator.count - 1) / share + 1
        func seconds(_ some: Int) throws -> Double {
            let part = try Evaluator(
                stream: evaluator.stream, contextLength: evaluator.contextLength,
                sequences: min(evaluator.count, some * share))
            let start = Timeline.now()
            _ = try part.evaluate(trainer.model, on: communicator) { try !communicator.isAny(false) }
            return try communicator.allReduce(Double(Timeline.now() - start) / 1e9, .maximum)
        }
        _ = try seconds(1)
        let one = try seconds(1)
        let some = min(rounds, max(2, Int(min(1 / max(one, 1e-6), 1e6))))
        return try seconds(some) / Double(some) * Double(rounds)
    }

    private static func hashSpeed(_ weights: Buffer<Float>) throws -> Double {
        let count = min(weights.count, 4 << 20)
        let digest = try SHA256()
        let start = Timeline.now()
        let result = weights.withSpan(0..<count) { values in Result { try digest.update(values.bytes) } }
        try result.get()
        return Double(count * MemoryLayout<Float>.stride) * 1e9 / Double(max(1, Timeline.now() - start))
    }
}

extension Int64 {
    fileprivate var nonZero: Int? { self == 0 ? nil : Int(self) }
}

extension TrainingSetup {
    /// A run that is measured: it has no directory, and goes on from no state.
    init(
        _ inputs: RunInputs, _ computing: RunCompute, _ memoryPlan: MemoryPlan, _ parts: RunParts,
        scheduler: LearningRateScheduler
    ) {
        var configuration = computing.configuration
        (configuration.debug, configuration.trace) = (false, nil)
        self.configuration = configuration
        (loader, evaluator, source) = (inputs.loader, inputs.evaluator, inputs.source)
        compute = computing.compute
        (self.memoryPlan, self.parts, self.scheduler) = (memoryPlan, parts, scheduler)
        (resumedState, runDirectory, startsLog, dataIdentity) = (nil, nil, nil, inputs.dataIdentity)
        (records, sampleWriter, dataBytes, ceiling) = ([], nil, nil, nil)
    }
}
