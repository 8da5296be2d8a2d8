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
        package var checkpoint: FilePath = ""
        package var data: FilePath = ""
        /// Nil: all.
        package var sequences: Int?
        package var microBatch = 8
        /// Nil: the model's.
        package var contextLength: Int?
        /// Nil: what the checkpoint was trained in.
        package var precision: Precision?
        package var allowOtherTokenizer = false
        package var json = false
        package var namesGiven: Set<String> = []

        package init() {}

        package static let command = "evaluate"
        package static let options: [CommandOption<Options>] = [
            .init("checkpoint", \.checkpoint, .path, as: .place, required: true, SavedModel.help),
            .init("data", \.data, .path, as: .place, required: true, "Token shards: a path or a quoted pattern."),
            .init(
                "sequences", \.sequences, .optional(.whole(Evaluator.counts), or: "all"),
                "Sequences to read, spread evenly over the data as in training."),
            .renamed("windows", to: "sequences", "they are spread evenly over the data"),
            .init(
                "micro-batch", \.microBatch, .whole(BatchPlan.sizes),
                "Sequences that a rank computes at once; the loss does not depend on it."),
            .init(
                "context-length", \.contextLength, .optional(.whole(DecoderConfiguration.contextLengths)),
                otherwise: "the model's", "Tokens of a sequence, at most the model's."),
            .init(
                "precision", \.precision, .optional(.word, or: "auto"),
                "auto: what the checkpoint was trained in, and fp32 for a model from elsewhere."),
            .init(
                "allow-other-tokenizer", \.allowOtherTokenizer, .flag,
                "Go on though the data was made with another tokenizer than the model's."),
            .init("json", \.json, .flag, "Print JSON, with the loss in bits a byte."),
        ]
    }

    /// What an evaluation found.
    package struct Report: Sendable, Equatable {
        package let found: Evaluator.Result
        /// Nil where no tokenizer beside the data says what its tokens stand for.
        package let bitsPerByte: Double?

        /// The line of `evaluate`.
        package var text: String {
            "loss \(fixed(found.loss, 6))  ppl \(fixed(found.perplexity, 6))  tokens \(found.tokens)"
        }
        /// What `--json` prints.
        package var json: String {
            JSONText.object([
                ("loss", .number(found.loss)), ("perplexity", .number(found.perplexity)),
                ("bitsPerByte", bitsPerByte.map { .number($0) } ?? nil), ("tokens", .number(found.tokens)),
            ]).text
        }
    }

    /// Reads the weights on each rank, shares the sequences over ranks and returns the same result on all.
    /// - Parameter warn: takes a line for the user.
    package static func run(
        _ options: Options, communicator: any Communicator, warn: (String) -> Void
    ) throws -> Report {
        try communicator.agree(on: options.values { $0 != .place })
        let ranks = communicator.localSize
        let (files, evaluator, makeModel) = try communicator.agreeing {
            let saved = try SavedModel(options.checkpoint)
            let files = saved.files
            let shape = try files.description.shape.limited(to: options.contextLength)
            let stream = try TokenStream(glob: options.data, vocabularySize: shape.vocabularySize)
            if communicator.rank == 0 {
                saved.warnings.forEach(warn)
                let (own, remark) = try saved.tokenizerIfRead()
                if let remark { warn(remark) }
                let allowOther = options.allowOtherTokenizer
                try TokenizerIdentity.requireSame(
                    [
                        .init("the model in '\(saved.path.shown)'", try own?.tokenizer.identity()),
                        stream.tokenizer("--data", allowOther: allowOther),
                    ],
                    allowOther: allowOther
                ).forEach(warn)
            }
            let evaluator = try Evaluator(
                stream: stream, contextLength: shape.contextLength, sequences: options.sequences)
            let trained = saved.checkpoint.flatMap { Precision(rawValue: $0.state.precision) }
            let precision = options.precision ?? trained ?? .fp32
            let compute = try Compute(threadCount: ThreadPlan(requested: nil, ranksOnHost: ranks).threads)
            try precision.requireInstructions()
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
        let bytes = try communicator.agreeing { try DataBytes(training: nil, evaluator).validation }
        return Report(
            found: result, bitsPerByte: bytes.map { TokenBytes.bitsPerByte(result.loss, bytesPerToken: $0) })
    }
}

extension SavedModel {
    /// The model's tokenizer and its `tokenizer.json`, nil where it has none.
    /// - Throws: as `Tokenizer`.
    func tokenizer() throws -> (tokenizer: Tokenizer, json: [UInt8])? {
        try Tokenizer.inFolder(path) { try contents(of: $0) }
    }

    /// The same where ids alone count: a tokenizer that is not read here is nil, with what is to be said of it. Families
    /// other than GPT-2 have tokenizers of other kinds; GPT-2's own are read, and a mistake in one is a mistake.
    func tokenizerIfRead() throws -> (found: (tokenizer: Tokenizer, json: [UInt8])?, remark: String?) {
        do {
            return (try tokenizer(), nil)
        } catch let error as ExitError where error.exitCode == .badInput {
            guard files.description.shape.architecture != .gpt2 else { throw error }
            return (
                nil,
                "the tokenizer of the model is not read here, so ids are taken to be its own: \(error)"
            )
        }
    }

    /// What `--checkpoint` takes.
    static let help =
        "Checkpoint, run directory (its newest checkpoint), Hugging Face model directory or llm.c model file."
}

/// The largest size from 1 to below `limit` that fits, where all smaller ones do too.
package func largestSize(below limit: Int, _ fits: (Int) throws -> Bool) rethrows -> Int? {
    var (fitting, tooLarge) = (0, limit)
    while tooLarge - fitting > 1 {
        let middle = fitting + (tooLarge - fitting) / 2
        if try fits(middle) { fitting = middle } else { tooLarge = middle }
    }
    return fitting > 0 ? fitting : nil
}
