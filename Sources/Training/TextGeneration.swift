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
        package var stops: [String] = []
        package var precision = Precision.fp32
        /// Nil: the model's.
        package var contextLength: Int?
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
                "top-k", \.topK, .whole(0...DecoderConfiguration.vocabularySizes.upperBound),
                "Draw from this many of the likeliest tokens; 0: from all."),
            .init("seed", \.seed, .whole(0...UInt64.max), "Equal seeds give equal texts."),
            .repeatable(
                "stop", \.stops, .text,
                "End before this text where the model writes it; can be given more than once."),
            .init(
                "context-length", \.contextLength, .optional(.whole(DecoderConfiguration.contextLengths)),
                otherwise: "the model's", "Tokens that are seen at once, at most the model's; fewer need less memory."),
            .init(
                "precision", \.precision, .word,
                "Of activations and matrix products; bf16 is faster where the CPU multiplies in it."),
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
        let shape = try description.shape.limited(to: options.contextLength)
        guard let tokenizer = try saved.tokenizer()?.tokenizer else {
            throw ExitError(
                .missingInput,
                saved.isFile
                    ? "\(saved.path.shown), a model file of llm.c, holds no tokenizer, so its ids mean no text; export it with "
                        + "--format huggingface, and put the tokenizer.json there that its data was made with"
                    : "\(saved.path.shown) holds neither tokenizer.json nor vocab.json with merges.txt, so its ids mean no "
                        + "text; put the tokenizer there that its data was made with")
        }
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw ExitError.badInput(
                "the tokenizer in \(saved.path.shown) has \(tokenizer.vocabularySize) tokens, the model "
                    + "\(shape.vocabularySize)")
        }
        guard !options.stops.contains("") else {
            throw ExitError.usage("--stop is empty, which every text begins with; give the text to stop at")
        }
        let prompt = CommandLineText.bytes(of: options.prompt)
        var tokens = tokenizer.encode(prompt)
        // A model that learned on documents knows their beginning; so an empty prompt starts one.
        if tokens.isEmpty, let start = tokenizer.endOfTextID { tokens = [start] }
        guard !tokens.isEmpty else {
            throw ExitError.usage("--prompt is empty, and the tokenizer has no end-of-text")
        }
        let cut = tokens.count - shape.contextLength
        if cut > 0 {
            warn(
                "the prompt has \(tokens.count) tokens, the model's context \(shape.contextLength): its first "
                    + "\(cut) are not seen; what is seen begins with "
                    + quoted(
                        String(
                            decoding: tokens[cut..<min(cut + 8, tokens.count)].flatMap(tokenizer.bytes), as: UTF8.self))
            )
        }
        try options.precision.requireInstructions()
        let compute = try Compute(threadCount: ThreadPlan(requested: options.threads, ranksOnHost: 1).threads)
        var stops = StopTexts(options.stops.map(CommandLineText.bytes))
        func run<E: ActivationElement>(_: E.Type) throws {
            func makeGenerator(_ memory: Memory) throws -> Generator<E> {
                try Generator(
                    shape, promptLength: tokens.count, length: saturatingSum(tokens.count, options.maxTokens),
                    compute: compute, memory: memory)
            }
            _ = try MemoryPlan(ranks: 1) { _, memory in _ = try makeGenerator(memory) }
            let generator = try makeGenerator(Memory())
            try saved.files.read(into: generator.weights, layout: generator.layout)
            generator.refreshOperands()
            let sampler = Sampler(
                temperature: options.temperature, topK: options.topK == 0 ? nil : options.topK, seed: options.seed)
            let endOfText = description.endTokenID ?? tokenizer.endOfTextID.map(Int.init)
            try write(prompt)
            try generator.continueText(
                after: tokens, count: options.maxTokens, sampler: sampler, tokenizer: tokenizer, endOfText: endOfText
            ) {
                let ready = stops.append($0)
                if !ready.isEmpty { try write(ready) }
                return !stops.isComplete
            }
            if stops.isComplete { return }
            let rest = stops.end()
            if !rest.isEmpty { try write(rest) }
        }
        switch options.precision {
        case .fp32: try run(Float.self)
        case .bf16: try run(BFloat16.self)
        }
    }
}

/// What of a growing text can be written: all before the first of the texts to stop at, as soon as it can be none of them.
package struct StopTexts {
    private let stops: [[UInt8]]
    /// What may be the beginning of one of them.
    private(set) var held: [UInt8] = []
    /// Whether one of them is complete; its bytes are dropped.
    package private(set) var isComplete = false

    package init(_ stops: [[UInt8]]) { self.stops = stops }

    /// Takes in the next bytes and returns those that can be written. Byte by byte, so that it does not matter how a text is
    /// cut into tokens: the text that is complete first ends it.
    package mutating func append(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var ready: [UInt8] = []
        for byte in bytes where !isComplete {
            held.append(byte)
            if let stop = stops.filter({ held.ends(with: $0) }).max(by: { $0.count < $1.count }) {
                isComplete = true
                held.removeLast(stop.count)
                return ready + end()
            }
            let start = held.indices.first { start in stops.contains { $0.starts(with: held[start...]) } }
            ready += release(start ?? held.count)
        }
        return ready
    }

    /// What was held back, at the end of the text.
    package mutating func end() -> [UInt8] { release(held.count) }

    private mutating func release(_ count: Int) -> [UInt8] {
        defer { held.removeFirst(count) }
        return Array(held.prefix(count))
    }
}

extension [UInt8] {
    fileprivate func ends(with other: [UInt8]) -> Bool {
        count >= other.count && suffix(other.count).elementsEqual(other)
    }
}
