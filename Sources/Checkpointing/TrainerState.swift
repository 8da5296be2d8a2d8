import Basics
import Optimization

/// Everything beside the tensors that a run needs to go on: `trainer_state.json`.
///
/// Nothing in it is needed to depend on the number of ranks; `worldSize` and `threadsPerRank` tell what was used.
package struct TrainerState: Equatable, Sendable {
    /// The optimizer's constants and its own step counter.
    package struct Optimizer: Equatable, Sendable {
        package var hyperparameters = AdamW.Hyperparameters()
        package var gradientClip = 0.0
        /// Updates made, for Adam's bias correction.
        package var step = 0

        package init() {}
    }

    /// What a validation loss is of; losses of two sets cannot be compared.
    package struct ValidationSet: Equatable, Sendable {
        /// A name for the contents of the validation data, as `TokenStream.identity` gives it.
        package var identity: String
        /// Sequences that are evaluated, spread evenly over the data.
        package var sequences: Int

        package init(identity: String, sequences: Int) {
            self.identity = identity
            self.sequences = sequences
        }
    }

    /// What a step's loss, norm and speed were.
    package struct StepMeasurement: Equatable, Sendable {
        /// Mean over all ranks' tokens of the step, nats.
        package var trainLoss = 0.0
        /// Global L2 norm before clipping.
        package var gradientNorm = 0.0
        /// Over all ranks, this step alone.
        package var tokensPerSecond = 0.0
        package var milliseconds = 0.0

        package init() {}
    }

    /// The version of the program that wrote it.
    package var swiftletVersion = ""
    /// Optimizer updates made.
    package var step = 0
    /// The epoch that the next update's first sequence belongs to, from 0.
    package var epoch = 0
    /// Sequences consumed since the start of the run, over all ranks: the global position.
    package var position = 0
    /// Tokens trained on, over all ranks.
    package var tokensSeen = 0
    package var seed: UInt64 = 0
    package var shuffle = false
    /// Tokens of one sequence.
    package var contextLength = 0
    /// Sequences of one update, over all ranks.
    package var globalBatch = 0
    /// Sequences that a rank computes at once.
    package var microBatch = 0
    package var scheduler: SchedulerState
    package var optimizer = Optimizer()
    /// `fp32` or `bf16`.
    package var precision = ""
    /// `exact` or `mpi`.
    package var reduction = ""
    package var threadsPerRank = 0
    /// Ranks of the run that saved it; nil when it is not to be part of the bytes.
    package var worldSize: Int?
    /// The effective options, in their order.
    package var configuration = OptionList()
    /// Names for the contents of the training data, as `TokenStream.identity` gives them.
    package var dataIdentity: [String] = []
    /// SHA-256 of `tokenizer.json`, where the run has one.
    package var tokenizerHash: String?
    package var lastValidationLoss: Double?
    package var bestValidationLoss: Double?
    /// The step after which the best one was found: the first of equal ones.
    package var bestValidationStep: Int?
    /// Evaluations since then, or since the first where none was a number.
    package var evaluationsSinceBest: Int?
    /// What these are of.
    package var validationSet: ValidationSet?
    /// The newest step's where a stop came during its evaluation: logged when that is made up. Nil otherwise.
    package var unevaluatedStep: StepMeasurement?

    /// All but the scheduler is still to be said.
    package init(scheduler: SchedulerState) { self.scheduler = scheduler }
}

/// Options and their values as text, in order. Stored as a JSON object.
package struct OptionList: Equatable, Sendable {
    private struct Option: Equatable {
        /// The name without its dashes.
        let name: String
        /// The value as it would stand on a command line.
        let value: String
    }

    private var options: [Option] = []

    /// - Parameter options: each name once.
    package init(_ options: [(name: String, value: String)] = []) {
        self.options = options.map { Option(name: $0.name, value: $0.value) }
    }

    /// The value of an option, or nil.
    package subscript(name: String) -> String? { options.first { $0.name == name }?.value }

    package var json: JSONText { .object(options.map { ($0.name, .string($0.value)) }) }

    init(_ json: JSON) throws(JSONError) {
        for (name, value) in json.members ?? [] {
            let name = String(decoding: name, as: UTF8.self)
            guard let text = value.string else { throw JSONError("\(name) is \(value.source), expected a string") }
            options.append(Option(name: name, value: text))
        }
    }
}
