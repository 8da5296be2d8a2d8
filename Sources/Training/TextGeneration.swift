import Basics
import Checkpointing
import Kernels
import TokenData
import Transformer

/// `swiftlet generate`: a saved model that continues texts.
package final class TextGeneration {
    /// What `generate` can be told.
    package struct Options: OptionSettings {
        package var checkpoint: FilePath = ""
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
            .init("checkpoint", \.checkpoint, .path, as: .place, required: true, SavedModel.help),
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

    private let options: Options
    private let warn: (String) -> Void
    /// The id that ends a text.
    private let endOfText: Int?
    private let tokenizer: Tokenizer
    private let generator: Generator

    /// Loads weights and tokenizer.
    /// - Parameter warn: takes a line for the user.
    /// - Throws: `ExitError` or `TrainingError` naming what is missing.
    package init(_ options: Options, warn: @escaping (String) -> Void) throws {
        self.options = options
        self.warn = warn
        let saved = try SavedModel(options.checkpoint)
        saved.warnings.forEach(warn)
        let files = saved.files
        let shape = files.description.shape
        guard let found = try saved.tokenizer() else {
            throw TrainingError(
                .missingInput,
                "\(saved.path.shown) holds neither tokenizer.json nor vocab.json with merges.txt, so its ids mean no text; "
                    + "put the tokenizer there that its data was made with")
        }
        tokenizer = found.tokenizer
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw TrainingError.badInput(
                "the tokenizer in \(saved.path.shown) has \(tokenizer.vocabularySize) tokens, the model "
                    + "\(shape.vocabularySize)")
        }
        endOfText = files.description.endTokenID ?? tokenizer.endOfTextID.map(Int.init)
        let compute = try Compute(threadCount: ThreadPlan(requested: options.threads, ranksOnHost: 1).threads)
        _ = try MemoryPlan(ranks: 1) { _, memory in _ = try Generator(shape, compute: compute, memory: memory) }
        generator = try Generator(shape, compute: compute)
        try files.read(into: generator.weights, layout: generator.layout)
    }

    /// Writes the prompt and its continuation, token by token, until `maxTokens` or the end of a text.
    /// - Throws: `TrainingError` for an empty prompt; what `write` throws.
    package func run(write: ([UInt8]) throws -> Void) throws {
        var sampler = Sampler(
            temperature: options.temperature, topK: options.topK == 0 ? nil : options.topK, seed: options.seed)
        let prompt = CommandLineText.bytes(of: options.prompt)
        var tokens = tokenizer.encode(prompt)
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
                    + "\(generator.forgottenCount) are not seen; what is seen begins with "
                    + quoted(String(decoding: kept.prefix(8).flatMap(tokenizer.bytes), as: UTF8.self)))
        }
        try write(prompt)
        for _ in 0..<options.maxTokens {
            // Ids that the tokenizer does not know have no text.
            let next = sampler.next(Array(logits.prefix(tokenizer.vocabularySize)))
            if Int(next) == endOfText { return }
            try write(Array(tokenizer.bytes(of: next)))
            logits = try generator.logits(after: next)
        }
    }
}
