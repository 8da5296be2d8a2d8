import Basics
import Checkpointing
import Kernels
import TokenData
import Transformer

/// `swiftlet generate`: a saved model that continues texts.
package enum TextGeneration {
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

    /// Writes the prompt and its continuation, token by token, until `maxTokens` or the end of a text.
    /// - Parameter warn: takes a line for the user.
    /// - Throws: `ExitError` naming what is missing or wrong; what `write` throws.
    package static func run(_ options: Options, warn: (String) -> Void, write: ([UInt8]) throws -> Void) throws {
        let saved = try SavedModel(options.checkpoint)
        saved.warnings.forEach(warn)
        let description = saved.files.description
        let shape = description.shape
        guard let tokenizer = try saved.tokenizer()?.tokenizer else {
            throw ExitError(
                .missingInput,
                "\(saved.path.shown) holds neither tokenizer.json nor vocab.json with merges.txt, so its ids mean no text; "
                    + "put the tokenizer there that its data was made with")
        }
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw ExitError.badInput(
                "the tokenizer in \(saved.path.shown) has \(tokenizer.vocabularySize) tokens, the model "
                    + "\(shape.vocabularySize)")
        }
        let compute = try Compute(threadCount: ThreadPlan(requested: options.threads, ranksOnHost: 1).threads)
        _ = try MemoryPlan(ranks: 1) { _, memory in _ = try Generator(shape, compute: compute, memory: memory) }
        let generator = try Generator(shape, compute: compute)
        try saved.files.read(into: generator.weights, layout: generator.layout)

        let prompt = CommandLineText.bytes(of: options.prompt)
        var tokens = tokenizer.encode(prompt)
        // A model that learned on documents knows their beginning; so an empty prompt starts one.
        if tokens.isEmpty, let start = tokenizer.endOfTextID { tokens = [start] }
        guard !tokens.isEmpty else {
            throw ExitError.usage("--prompt is empty, and the tokenizer has no end-of-text")
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
        var sampler = Sampler(
            temperature: options.temperature, topK: options.topK == 0 ? nil : options.topK, seed: options.seed)
        let endOfText = description.endTokenID ?? tokenizer.endOfTextID.map(Int.init)
        for _ in 0..<options.maxTokens {
            // Ids that the tokenizer does not know have no text.
            let next = sampler.next(Array(logits.prefix(tokenizer.vocabularySize)))
            if Int(next) == endOfText { return }
            try write(Array(tokenizer.bytes(of: next)))
            logits = try generator.logits(after: next)
        }
    }
}
