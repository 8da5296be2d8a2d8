import Basics
import Checkpointing
import Collectives
import Kernels
import TokenData
import Transformer

/// `swiftlet evaluate`: the loss of a saved model on a stream.
package enum ModelEvaluation {
    /// What `evaluate` can be told.
    package struct Options: OptionSettings {
        package var checkpoint = ""
        package var data = ""
        /// Nil: all.
        package var sequences: Int?
        package var microBatch = 8
        /// Nil: what the checkpoint was trained in.
        package var precision: Precision?
        package var allowOtherTokenizer = false
        package var namesGiven: Set<String> = []

        package init() {}

        package static let command = "evaluate"
        package static let options: [CommandOption<Options>] = [
            .init("checkpoint", \.checkpoint, .path, as: .place, required: true, modelHelp),
            .init("data", \.data, .path, as: .place, required: true, "Token shards: a path or a quoted pattern."),
            .init(
                "sequences", \.sequences, .optional(.whole(Evaluator.counts), or: "all"),
                "Sequences to read, spread evenly over the data as in training."),
            .renamed("windows", to: "sequences", "they are spread evenly over the data"),
            .init(
                "micro-batch", \.microBatch, .whole(BatchPlan.sizes),
                "Sequences that a rank computes at once; the loss does not depend on it."),
            .init(
                "precision", \.precision, .optional(.word, or: "auto"),
                "auto: what the checkpoint was trained in, and fp32 for a model from elsewhere."),
            .init(
                "allow-other-tokenizer", \.allowOtherTokenizer, .flag,
                "Go on though the data was made with another tokenizer than the model's."),
        ]
    }

    /// Reads the weights on each rank, shares the sequences over ranks and returns the same result on all.
    /// - Parameter warn: takes a line for the user.
    package static func run(
        _ options: Options, communicator: any Communicator, warn: (String) -> Void
    ) throws -> Evaluator.Result {
        try communicator.agree(on: options.values { $0 != .place })
        let ranks = communicator.localSize
        let (files, evaluator, makeModel) = try communicator.agreeing {
            let saved = try SavedModel(FilePath(argument: options.checkpoint))
            saved.warnings.forEach(warn)
            let (files, path) = (saved.files, saved.files.path)
            let shape = files.description.shape
            let stream = try TokenStream(
                glob: FilePath(argument: options.data), vocabularySize: shape.vocabularySize)
            if communicator.rank == 0 {
                let own = try Tokenizer.inFolder(path)?.tokenizer.identity()
                let allowOther = options.allowOtherTokenizer
                try TokenizerIdentity.requireSame(
                    [.init("the model in '\(path.shown)'", own), stream.tokenizer("--data", allowOther: allowOther)],
                    allowOther: allowOther
                ).forEach(warn)
            }
            let evaluator = try Evaluator(
                stream: stream, contextLength: shape.contextLength, sequences: options.sequences)
            let precision = try options.precision ?? trainedPrecision(of: path)
            let compute = try Compute(threadCount: ThreadPlan(requested: nil, ranksOnHost: ranks).threads)
            guard precision == .fp32 || Compute.hasFastBFloat16 else {
                throw TrainingError.usage(
                    "--precision bf16 needs a CPU with bf16 instructions, and this one has none; give --precision fp32")
            }
            let size = min(options.microBatch, evaluator.count)
            func makeModel(_ microBatch: Int?, _ memory: Memory) throws -> any LanguageModel {
                try makeLanguageModel(
                    shape, precision: precision, microBatch: microBatch ?? size, compute: compute, training: false,
                    memory: memory)
            }
            _ = try MemoryPlan(ranks: ranks, largest: { try largestSize(below: size, $0) }) {
                _ = try makeModel($0, $1)
            }
            return (files, evaluator, makeModel)
        }
        let model = try communicator.agreeing {
            let model = try makeModel(nil, Memory())
            try files.read(into: model.weights, layout: model.layout)
            return model
        }
        model.refreshOperands()
        guard let result = try evaluator.evaluate(model, on: communicator) else {
            preconditionFailure("nothing ends this evaluation early")
        }
        return result
    }

    /// The precision in a checkpoint's state; fp32 for a directory that has none.
    private static func trainedPrecision(of path: FilePath) throws -> Precision {
        let name = Checkpoint.FileName.state
        guard let bytes = try HuggingFaceModelFiles.contents(of: name, in: path) else { return .fp32 }
        return Precision(rawValue: try TrainerState(json: bytes, file: path.appending(name).shown).precision) ?? .fp32
    }
}

/// The largest size from 1 to below `limit` that fits, where all smaller ones do too.
private func largestSize(below limit: Int, _ fits: (Int) throws -> Bool) rethrows -> Int? {
    var (fitting, tooLarge) = (0, limit)
    while tooLarge - fitting > 1 {
        let middle = fitting + (tooLarge - fitting) / 2
        if try fits(middle) { fitting = middle } else { tooLarge = middle }
    }
    return fitting > 0 ? fitting : nil
}

private let modelHelp = "Checkpoint, run directory (its newest checkpoint) or Hugging Face model directory."

/// `swiftlet generate`: a saved model that continues texts.
package final class TextGeneration {
    /// What `generate` can be told.
    package struct Options: OptionSettings {
        package var checkpoint = ""
        package var prompt = ""
        package var maxTokens = 200
        package var temperature = 0.8
        package var topK = 50
        package var seed: UInt64 = 1
        /// Nil: the allowed cores.
        package var threads: Int?
        package var namesGiven: Set<String> = []

        package init() {}

        package static let command = "generate"
        package static let options: [CommandOption<Options>] = [
            .init("checkpoint", \.checkpoint, .path, as: .place, required: true, modelHelp),
            .init("prompt", \.prompt, .text, required: true, "The text to continue."),
            .init("max-tokens", \.maxTokens, .whole(0...1_000_000), "Tokens to add."),
            .init(
                "temperature", \.temperature, .real(0...Double.greatestFiniteMagnitude),
                "Below 1: likelier tokens become likelier still; 0: always the likeliest."),
            .init(
                "top-k", \.topK, .whole(0...GPTConfiguration.vocabularySizes.upperBound),
                "Draw from this many of the likeliest tokens; 0: from all."),
            .init("seed", \.seed, .whole(0...UInt64.max), "Equal seeds give equal texts."),
            .init(
                "threads", \.threads, .optional(.whole(ThreadPlan.counts), or: "auto"),
                "Threads; auto: the allowed cores."),
        ]
    }

    private let tokenizer: Tokenizer
    private let generator: Generator

    /// Loads weights and tokenizer.
    /// - Throws: `CheckpointError`, `TokenDataError` or `TrainingError` naming what is missing.
    package init(checkpoint path: String, threads: Int?) throws {
        let files = try SavedModel(FilePath(argument: path)).files
        let directory = files.path
        let shape = files.description.shape
        tokenizer = try Tokenizer(path: directory)
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw TrainingError.badInput(
                "the tokenizer in \(directory.shown) has \(tokenizer.vocabularySize) tokens, the model \(shape.vocabularySize)"
            )
        }
        let compute = try Compute(threadCount: ThreadPlan(requested: threads, ranksOnHost: 1).threads)
        let layout = ParameterLayout(shape)
        func make(_ memory: Memory, _ fill: (Buffer<Float>) throws -> Void = { _ in }) throws -> Generator {
            let weights: Buffer<Float> = try memory.buffer(.weights, layout.count)
            try fill(weights)
            return try Generator(shape, weights: weights, compute: compute, memory: memory)
        }
        _ = try MemoryPlan(ranks: 1) { _, memory in _ = try make(memory) }
        generator = try make(Memory()) { try files.read(into: $0, layout: layout) }
    }

    /// Writes the prompt and its continuation, token by token, until `maxTokens` or the end of a text.
    /// - Parameter warn: takes a line for the user.
    /// - Throws: `TrainingError` for an empty prompt; what `write` throws.
    package func run(_ options: Options, warn: (String) -> Void, write: ([UInt8]) throws -> Void) throws {
        var sampler = Sampler(
            temperature: options.temperature, topK: options.topK == 0 ? nil : options.topK, seed: options.seed)
        var tokens = tokenizer.encode(options.prompt)
        // A model that learned on documents knows their beginning; so an empty prompt starts one.
        if tokens.isEmpty, let start = tokenizer.endOfTextID { tokens = [start] }
        guard !tokens.isEmpty else {
            throw TrainingError.usage("--prompt is empty, and the tokenizer has no end-of-text")
        }
        var logits: [Float] = []
        for token in tokens { logits = try generator.logits(after: token) }
        if generator.forgottenCount > 0 {
            let kept = tokens.dropFirst(generator.forgottenCount)
            warn(
                "the prompt has \(tokens.count) tokens, the model's context \(generator.contextLength): its first "
                    + "\(generator.forgottenCount) are not seen; what is seen begins with '"
                    + "\(oneLine(String(decoding: kept.prefix(8).flatMap(tokenizer.bytes), as: UTF8.self)))'")
        }
        try write(Array(options.prompt.utf8))
        for _ in 0..<options.maxTokens {
            // Ids that the tokenizer does not know have no text.
            let next = sampler.next(Array(logits.prefix(tokenizer.vocabularySize)))
            if next == tokenizer.endOfTextID { return }
            try write(Array(tokenizer.bytes(of: next)))
            logits = try generator.logits(after: next)
        }
    }
}

private func oneLine(_ text: String) -> String { text.filter { !$0.isNewline } }
