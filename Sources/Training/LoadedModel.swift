import Checkpointing
import Collectives
import Kernels
import TokenData
import Transformer

/// Where a command finds a model: a checkpoint, a run directory's newest one, or a Hugging Face directory.
enum ModelDirectory {
    /// The directory with the weights; a checkpoint is verified first.
    /// - Throws: `CheckpointError` or `TrainingError` naming the path.
    static func resolve(_ path: String) throws -> String {
        let checkpoints = CheckpointDirectory(path: path + "/checkpoints")
        if try !checkpoints.list().candidates.isEmpty {
            guard let newest = try checkpoints.newestVerified().checkpoint else {
                throw TrainingError.badInput("no checkpoint of \(path) verifies; `swiftlet inspect \(path)` says why")
            }
            return newest.path
        }
        // A checkpoint of ours has a manifest and must match it; a directory from elsewhere has none.
        if try HuggingFaceModelFiles.contents(of: "manifest.json", in: path) != nil {
            return try Checkpoint(verifying: path).path
        }
        return path
    }
}

/// `swiftlet evaluate`: the loss of a saved model on a stream.
public enum ModelEvaluation {
    /// Reads the weights on rank 0, shares the windows over ranks and returns the same result on all.
    public static func run(
        checkpoint path: String, data: String, windows: Int?, microBatch: Int, precision: Precision,
        communicator: any Communicator
    ) throws -> Evaluator.Result {
        let plan = ThreadPlan(requested: nil, communicator: communicator)
        let (files, evaluator, model) = try communicator.agreeing {
            let files = try HuggingFaceModelFiles(path: try ModelDirectory.resolve(path))
            let shape = try files.shape()
            let stream = try TokenStream(glob: data, vocabularySize: shape.vocabularySize)
            let evaluator = try Evaluator(
                stream: stream, contextLength: shape.contextLength, windows: windows)
            let compute = try Compute(threadCount: plan.threads)
            guard precision == .fp32 || Compute.hasFastBFloat16 else {
                throw TrainingError.usage("--precision bf16 needs a CPU with bf16 instructions; use fp32")
            }
            let model = try makeLanguageModel(
                shape, precision: precision, microBatch: min(microBatch, max(1, evaluator.sequences)),
                compute: compute, training: false)
            return (files, evaluator, model)
        }
        try communicator.agreeing { try files.read(into: model.weights, layout: model.layout) }
        model.refreshOperands()
        return try evaluator.evaluate(model, on: communicator)
    }
}

extension Evaluator {
    /// Takes up to `windows` sequences; nil takes all there are.
    init(stream: TokenStream, contextLength: Int, windows: Int?) throws {
        try self.init(stream: stream, contextLength: contextLength, batchSize: 1, batches: windows)
    }
}

/// `swiftlet generate`: a saved model that continues texts.
public final class TextGeneration {
    private let tokenizer: Tokenizer
    private let generator: Generator

    /// Loads weights and tokenizer.
    /// - Throws: `CheckpointError`, `TokenDataError` or `TrainingError` naming what is missing.
    public init(checkpoint path: String, threads: Int?) throws {
        let directory = try ModelDirectory.resolve(path)
        let files = try HuggingFaceModelFiles(path: directory)
        let shape = try files.shape()
        tokenizer = try Tokenizer(path: directory)
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw TrainingError.badInput(
                "the tokenizer in \(directory) has \(tokenizer.vocabularySize) tokens, the model \(shape.vocabularySize)")
        }
        let compute = try Compute(threadCount: threads ?? allowedCoreCount())
        let layout = ParameterLayout(shape)
        let weights = Buffer<Float>(count: layout.count)
        try files.read(into: weights, layout: layout)
        generator = try Generator(shape, weights: weights, compute: compute)
    }

    /// Writes the prompt and its continuation, token by token, until `maxTokens` or the end of a text.
    public func run(
        prompt: String, maxTokens: Int, temperature: Double, topK: Int?, seed: UInt64, write: ([UInt8]) -> Void
    ) throws {
        var sampler = Sampler(temperature: temperature, topK: topK, seed: seed)
        var tokens = tokenizer.encode(prompt)
        // A model that learned on documents knows their beginning; so an empty prompt starts one.
        if tokens.isEmpty, let start = tokenizer.endOfTextID { tokens = [start] }
        guard !tokens.isEmpty else { throw TrainingError.usage("--prompt is empty, and the tokenizer has no end-of-text") }
        write(Array(prompt.utf8))
        var logits: [Float] = []
        for token in tokens { logits = generator.logits(after: token) }
        for _ in 0..<maxTokens {
            // Ids that the tokenizer does not know have no text.
            let next = sampler.next(Array(logits.prefix(tokenizer.vocabularySize)))
            if next == tokenizer.endOfTextID { return }
            write(Array(tokenizer.bytes(of: next)))
            logits = generator.logits(after: next)
        }
    }
}
