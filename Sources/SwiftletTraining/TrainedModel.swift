internal import Basics
internal import Checkpointing
public import SwiftletTokenizer
internal import Training

/// A saved model: a checkpoint, the newest one of a run directory, a Hugging Face model directory, or a model file of
/// llm.c.
public struct TrainedModel: Sendable {
    /// The loss of a model on data.
    public struct Evaluation: Sendable, Equatable {
        /// Mean loss a token, in nats.
        public let loss: Double
        /// e^loss.
        public let perplexity: Double
        /// The loss in bits a byte of text, which compares over tokenizers; nil without a tokenizer beside the data.
        public let bitsPerByte: Double?
        /// Tokens that were predicted.
        public let tokens: Int
    }

    /// Where it was found.
    public let path: String
    /// The family: `gpt2`, `llama` and so on.
    public let architecture: String
    /// Its weights.
    public let parameterCount: Int
    /// Tokens that it sees at once.
    public let contextLength: Int
    /// Its token ids are below this.
    public let vocabularySize: Int
    /// The updates that were made; nil for a model from elsewhere.
    public let step: Int?

    /// Finds a model and checks its files; its weights are read when they are used.
    /// - Throws: exit code 66 where there is none, 65 where it does not verify or is not computed here.
    public init(path: String) throws(SwiftletError) {
        let saved = try translated { try SavedModel(FilePath(argument: path)) }
        let shape = saved.files.description.shape
        self.path = path
        architecture = shape.architecture.rawValue
        parameterCount = shape.parameterCount
        contextLength = shape.contextLength
        vocabularySize = shape.vocabularySize
        step = saved.checkpoint?.state.step
    }

    /// Its loss on token shards: `swiftlet evaluate`. All ranks call it together and get the same numbers.
    /// - Parameters:
    ///   - data: a path or a pattern such as `corpus/val_*.bin`.
    ///   - options: of `swiftlet evaluate` by their names, such as `sequences`.
    ///   - ranks: those that take part.
    ///   - warn: takes a line for the user, on rank 0.
    /// - Throws: exit codes 64 for an option, 65 and 66 for model and data.
    public func evaluate(
        data: String, options: [String: String] = [:], on ranks: Ranks, warn: (String) -> Void = { _ in }
    ) throws(SwiftletError) -> Evaluation {
        let report = try translated(isShared: { $0 is AgreedError }) {
            var settings = ModelEvaluation.Options()
            try settings.apply(given(["data": data], options))
            return try ModelEvaluation.run(settings, communicator: ranks.communicator, warn: warn)
        }
        return Evaluation(
            loss: report.found.loss, perplexity: report.found.perplexity, bitsPerByte: report.bitsPerByte,
            tokens: report.found.tokens)
    }

    /// Continues a prompt: `swiftlet generate`. One process does it alone.
    /// - Parameters:
    ///   - prompt: the text to go on from.
    ///   - options: of `swiftlet generate` by their names, such as `temperature`.
    ///   - warn: takes a line for the user.
    /// - Returns: the prompt and its continuation.
    /// - Throws: exit codes 64 for an option, 65 and 66 for a model that is none or has no tokenizer.
    public func text(
        after prompt: String, options: [String: String] = [:], warn: (String) -> Void = { _ in }
    ) throws(SwiftletError) -> String {
        try translated {
            var settings = TextGeneration.Options()
            try settings.apply(given(["prompt": prompt], options))
            var bytes: [UInt8] = []
            try TextGeneration.run(settings, warn: warn) { bytes += $0 }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private func given(_ own: [String: String], _ options: [String: String]) -> [(name: String, text: String)] {
        let all =
            own.merging(["checkpoint": path]) { $1 }.sorted { $0.key < $1.key } + options.sorted { $0.key < $1.key }
        return all.map { (name: $0.key, text: $0.value) }
    }
}
