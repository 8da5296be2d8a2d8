import Basics
import Kernels
import TokenData
import Transformer

/// What `--sample-interval` writes: the prompt as tokens, and how it is continued. Rank 0's alone.
///
/// The same prompt, count, temperature and seed at every step, and those of `swiftlet generate`: samples of two steps differ
/// by their weights alone, and `generate` writes the same text from that step's checkpoint.
struct SampleWriter {
    /// The tokens to begin with; not empty.
    let prompt: [Int32]
    /// Tokens to add at most.
    let count: Int
    /// What is to be said of the prompt.
    let warning: String?
    private let text: String
    private let tokenizer: Tokenizer
    private let endOfText: Int?

    /// Nil where no samples are asked for.
    /// - Throws: `ExitError` (66) where there is no tokenizer that is read here.
    init?(_ configuration: TrainingConfiguration, _ source: ModelSource) throws(ExitError) {
        guard configuration.sampleInterval != nil else { return nil }
        guard let tokenizer = source.tokenizer else {
            throw ExitError(
                .missingInput,
                "--sample-interval needs the tokenizer of the data to write text, and there is none that is read here "
                    + "beside \(configuration.trainData.shown); put it there, or leave the option out")
        }
        text = configuration.samplePrompt ?? ""
        let tokens = tokenizer.encode(CommandLineText.bytes(of: text))
        // A text from its beginning, as a model of documents knows it; else the start of a line.
        prompt = tokens.isEmpty ? tokenizer.endOfTextID.map { [$0] } ?? tokenizer.encode([0x0A]) : tokens
        count = configuration.sampleTokens
        let cut = prompt.count - source.shape.contextLength
        warning =
            cut > 0
            ? "--sample-prompt has \(prompt.count) tokens, the model's context \(source.shape.contextLength): its first "
                + "\(cut) are not seen" : nil
        self.tokenizer = tokenizer
        endOfText = source.description.endTokenID ?? tokenizer.endOfTextID.map(Int.init)
    }

    /// What the generator's weights write after `step`.
    /// - Throws: `KernelError` when oneDNN fails.
    func sample(step: Int, by generator: any TokenGenerator) throws -> TextSample {
        let standard = TextGeneration.Options()
        let sampler = Sampler(temperature: standard.temperature, topK: standard.topK, seed: standard.seed)
        var bytes: [UInt8] = []
        try generator.continueText(
            after: prompt, count: count, sampler: sampler, tokenizer: tokenizer, endOfText: endOfText
        ) {
            bytes += $0
            return true
        }
        var sample = TextSample()
        (sample.step, sample.prompt, sample.text) = (step, text, String(decoding: bytes, as: UTF8.self))
        return sample
    }

    /// A generator that reads a model's own weights, whatever they are at that moment.
    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    func generator(
        _ model: any LanguageModel, compute: Compute, memory: Memory
    ) throws -> any TokenGenerator {
        let length = saturatingSum(prompt.count, count)
        return switch model.precision {
        case .fp32:
            try Generator<Float>(
                model.configuration, promptLength: prompt.count, length: length, compute: compute, sharing: model,
                memory: memory)
        case .bf16:
            try Generator<BFloat16>(
                model.configuration, promptLength: prompt.count, length: length, compute: compute, sharing: model,
                memory: memory)
        }
    }
}
