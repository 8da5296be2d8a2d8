import Basics
import Transformer

/// `swiftlet plan`: what a run with these options amounts to before it is made, what it will take, and what looks wrong
/// about it. The JSON of `--json`; numbers are in bytes, seconds, tokens and steps.
package struct RunPlan: Codable, Equatable, Sendable {
    /// What `plan` can be told besides the options of `train`.
    package struct Options: OptionSettings {
        /// Nil: as many as plan it.
        package var ranks: Int?
        package var measures = true
        package var json = false
        package var namesGiven: Set<String> = []

        package init() {}

        package static let command = "plan"
        package static let options: [CommandOption<Options>] = [
            .init(
                "ranks", \.ranks, .optional(.whole(1...4096)), otherwise: "as many as it was started with",
                "Plan for this many ranks on this host; other ones than it was started with are not measured."),
            .init("no-measure", \.measures, .inverseFlag, "Make no steps: a plan in a moment, without times."),
            .init("json", \.json, .flag, "Print JSON."),
        ]
    }

    package struct Model: Codable, Equatable, Sendable {
        package var architecture: String
        package var parameters: Int
        /// Without the rows of token and position embeddings; a head of its own counts.
        package var parametersWithoutEmbeddings: Int
        package var layers: Int
        package var heads: Int
        package var embeddingSize: Int
        package var contextLength: Int
        package var vocabularySize: Int
    }

    package struct Length: Codable, Equatable, Sendable {
        package var steps: Int
        /// Made already, by the checkpoint that the run goes on from.
        package var stepsDone: Int
        package var tokensPerStep: Int
        /// Of all steps.
        package var tokens: Int
        package var tokensPerParameter: Double
        /// Nil without training data, as the next two.
        package var dataTokens: Int?
        package var dataSequences: Int?
        package var epochs: Double?
    }

    package struct Batch: Codable, Equatable, Sendable {
        /// Sequences of a step, and of what a rank computes at once.
        package var globalBatch: Int
        package var microBatch: Int
        package var ranks: Int
        /// Micro-batches of a rank in a step.
        package var accumulation: Int
        package var threadsPerRank: Int
        package var precision: String
    }

    /// Of a rank.
    package struct MemoryNeed: Codable, Equatable, Sendable {
        /// Bytes by use, as they are reserved.
        package var kinds: [String: Int]
        /// All of them.
        package var buffers: Int
        /// The program with its libraries, stacks and generated code, less what is reserved and never touched.
        package var program: Int
        /// The most that will be in memory at once: both together. From measured steps, where there are some.
        package var peak: Int
        /// What the steps that were measured came to.
        package var measuredPeak: Int?
        /// What there is for a rank; nil where the system does not say.
        package var available: Int?
    }

    package struct Checkpoints: Codable, Equatable, Sendable {
        /// Of one: its tensors and the tokenizer.
        package var bytes: Int
        package var saves: Int
        /// At once, the one that is being written and the best one included.
        package var atOnce: Int
        package var diskBytes: Int
        /// Nil where no run directory was given or the system does not say.
        package var freeBytes: Int?
        /// The checkpoint that the run would go on from.
        package var goesOnFrom: String?
    }

    package struct Evaluations: Codable, Equatable, Sendable {
        package var count: Int
        /// Sequences of one, and those that there are.
        package var sequences: Int
        package var available: Int
        package var tokens: Int
        /// Of the time of steps and evaluations together; by operations where no time was measured.
        package var share: Double
    }

    package struct Time: Codable, Equatable, Sendable {
        /// Steps that were measured.
        package var measuredSteps: Int
        /// Mean over the run, in which steps of short sequences may cost less.
        package var step: Double
        package var tokensPerSecond: Double
        /// Of one evaluation and of one save.
        package var evaluation: Double
        package var checkpoint: Double
        /// From the first step to the end of the last save.
        package var total: Double
        /// Of that, from the step where the run would go on.
        package var left: Double
    }

    /// The learning rate over the run.
    package struct Rates: Codable, Equatable, Sendable {
        package var schedule: String
        package var peak: Double
        package var warmupSteps: Int
        package var muonPeak: Double?
        /// At evenly spaced steps, the first and the last one included.
        package var points: [Double]
        package var muonPoints: [Double]?
    }

    package var model: Model
    package var length: Length
    package var batch: Batch
    package var memory: MemoryNeed
    package var checkpoints: Checkpoints
    /// Nil without validation data.
    package var evaluations: Evaluations?
    /// Nil where nothing was measured; `unmeasured` says why.
    package var time: Time?
    package var unmeasured: String?
    package var rates: Rates
    /// What a run would say of its setup.
    package var notes: [String] = []
    /// What looks wrong: value, limit and advice, a line each.
    package var warnings: [String] = []
}
