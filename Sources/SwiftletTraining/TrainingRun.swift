internal import Basics
internal import FoundationEssentials
internal import MPICollectives
public import SwiftletTokenizer
internal import Training

/// A training run: `swiftlet train`, with what a program brings of its own.
///
/// It lives in a run directory, where rank 0 writes checkpoints and `metrics.jsonl`. Where that holds a checkpoint, the
/// run goes on from it. All ranks make one together and call its functions together.
public final class TrainingRun {
    /// How it ended without an error.
    public enum Outcome: Sendable {
        /// All steps are made and saved.
        case finished
        /// It was asked to stop; the state is saved, and the same program goes on with it.
        case stopped
    }

    private let trainer: Trainer
    private let listener: Listener

    /// Checks everything, reserves all memory, and fills the weights: new ones, a given model's, or the checkpoint's.
    /// - Parameters:
    ///   - configuration: what `swiftlet train` would be told.
    ///   - ranks: those that take part.
    ///   - data: in place of `train-data`, which then has no value.
    ///   - schedule: in place of the curve of `schedule`.
    ///   - log: takes the lines that `swiftlet train` prints, on rank 0.
    /// - Throws: exit codes 64 for options that do not fit, 65 and 66 for data and checkpoints, 73 and 81 for the run
    ///   directory, 78 where ranks were told different things. All ranks have it.
    public init(
        _ configuration: Configuration, on ranks: Ranks, data: (any TokenSource)? = nil,
        schedule: (any RateSchedule)? = nil, log: @escaping (String) -> Void = { _ in }
    ) throws(SwiftletError) {
        let listener = Listener(speaks: ranks.isFirst, log: log)
        self.listener = listener
        trainer = try Self.shared {
            var options = try configuration.checked()
            if let data {
                guard configuration.trainData.isEmpty else {
                    throw SwiftletError(
                        "train-data is '\(configuration.trainData)', but the program brings the data '\(data.name)'; leave "
                            + "one of them out")
                }
                options.namesGiven.insert("train-data")
            }
            try options.validate()
            let hooks = TrainingHooks(source: try data.map(HookedSource.init), schedule: schedule?.hook)
            return try Trainer(options, communicator: ranks.communicator, reporter: listener, hooks: hooks)
        }
    }

    /// Updates made so far.
    public var step: Int { trainer.step }
    /// Weights of the model.
    public var parameterCount: Int { trainer.model.configuration.parameterCount }
    /// Tokens of a sequence.
    public var contextLength: Int { trainer.model.configuration.contextLength }

    /// Trains to the last step, evaluates and saves on the way as the configuration says, and saves at the end.
    /// - Parameter onStep: called on every rank after each step, before a save that belongs to it.
    /// - Throws: exit codes 74 for a last save that failed, 79 for a loss that is not finite, 80 for weights that differ
    ///   between ranks, and what the data throws.
    public func train(onStep: @escaping (StepReport) -> Void = { _ in }) throws(SwiftletError) -> Outcome {
        StopRequest.forget()
        listener.onStep = onStep
        defer { listener.onStep = { _ in } }
        return try Self.shared { try trainer.run() == .finished ? .finished : .stopped }
    }

    /// Asks the run to save and stop after the step under way; one rank that asks is enough. From any thread.
    public static func stop() { StopRequest.set() }

    /// Lets SIGINT, SIGTERM and SIGUSR1 do so too, as they do in `swiftlet train`. Call it first of all.
    public static func stopOnSignals() {
        let rank = MPICommunicator.launcherRank(environment: ProcessInfo.processInfo.environment)
        StopRequest.listen(isFirst: rank ?? 0 == 0)
    }

    /// Saves now, where this step is not saved yet. All ranks call it together, between calls of `train`.
    /// - Throws: exit code 74 where writing fails.
    public func save() throws(SwiftletError) { try Self.shared { try trainer.save(mustSucceed: true) } }

    private static func shared<Value>(_ body: () throws -> Value) throws(SwiftletError) -> Value {
        try translated(isShared: { $0 is AgreedError }, body)
    }
}
