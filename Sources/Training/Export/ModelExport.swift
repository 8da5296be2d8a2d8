import Basics
import Checkpointing
import TokenData
import Transformer

/// `swiftlet export`: a saved model in a format of other programs.
package enum ModelExport {
    /// The formats. Raw values are the words of `--format`.
    package enum Format: String, CaseIterable, Sendable {
        /// A model directory of transformers, with a model card.
        case huggingFace = "huggingface"
        /// A file for llama.cpp.
        case gguf
        /// A model file of llm.c.
        case llmc = "llm.c"
    }

    /// What `export` can be told.
    package struct Options: OptionSettings {
        package var checkpoint: FilePath = ""
        package var output: FilePath = ""
        package var format: Format?
        package var type = ExportedType.fp32
        package var namesGiven: Set<String> = []

        package init() {}

        package static let command = "export"
        package static let options: [CommandOption<Options>] = [
            .init("checkpoint", \.checkpoint, .path, as: .place, required: true, SavedModel.help),
            .init(
                "output", \.output, .path, as: .place, required: true,
                "The new directory (huggingface) or file; nothing that is there is replaced."),
            .init(
                "format", \.format, .optional(.word), required: true,
                "huggingface: a directory for transformers; gguf: a file for llama.cpp; llm.c: a model file, GPT-2 alone."
            ),
            .init(
                "dtype", \.type, .word,
                "What weights are rounded to; in GGUF, vectors stay fp32. llm.c has no f16."),
        ]
    }

    /// Reads a model and writes it.
    /// - Parameter warn: takes a line for the user.
    /// - Returns: a line about what was written.
    /// - Throws: `ExitError`: 64 for a type that the format does not have, 65 for a model that it cannot express or whose
    ///   weights the type cannot hold, 66 where there is no model, 73 where `--output` is taken or cannot be made, 74 where
    ///   writing fails.
    package static func run(_ options: Options, warn: (String) -> Void) throws -> String {
        guard let format = options.format else { throw ExitError(.usage, "--format is missing; give it") }
        if format == .llmc, options.type == .f16 {
            throw ExitError(.usage, "--dtype f16 is nothing that llm.c reads; give fp32 or bf16")
        }
        let output = try ExportOutput(path: options.output)
        let saved = try SavedModel(options.checkpoint)
        saved.warnings.forEach(warn)
        let (tokenizer, remark) = try saved.tokenizerIfRead()
        if let remark { warn("\(remark)") }
        let shape = saved.files.description.shape
        if let size = tokenizer?.tokenizer.vocabularySize, size > shape.vocabularySize {
            throw ExitError(
                .badInput,
                "the tokenizer in \(saved.path.shown) has \(size) tokens, the model \(shape.vocabularySize); put the "
                    + "tokenizer there that its data was made with")
        }
        let size = shape.parameterCount * options.type.dataType.bitCount / 8
        try WorkProgress.during("exporting", of: size, .bytesWritten) {
            switch format {
            case .huggingFace:
                try output.writeHuggingFace(
                    saved.files, as: options.type, others: saved.otherFiles(tokenizer, as: options.type))
            case .gguf:
                let model = try GGUFModel(saved.files)
                model.warnings.forEach(warn)
                let file = model.file(
                    name: options.output.stem ?? "model", as: options.type,
                    vocabulary: GGUFVocabulary.keys(tokenizer?.tokenizer, saved.files.description))
                try output.writeFile { try file.write(to: $0) }
            case .llmc:
                try output.writeLlmc(saved.files, as: options.type)
            }
        }
        if tokenizer == nil, format == .gguf || format == .huggingFace && remark == nil {
            warn("\(saved.path.shown) has no tokenizer that can be written: what was written holds weights alone")
        }
        return "\(options.output.shown)  format \(format.rawValue)  dtype \(options.type.rawValue)  parameters "
            + "\(shape.parameterCount)"
    }
}

extension SavedModel {
    /// What stands beside the weights in a Hugging Face directory: the model's own files, or new ones.
    fileprivate func otherFiles(
        _ tokenizer: (tokenizer: Tokenizer, json: [UInt8])?, as type: ExportedType
    ) throws -> [(name: String, bytes: [UInt8])] {
        let description = files.description
        let generation = "generation_config.json"
        var others = [(generation, try contents(of: generation) ?? description.generationConfigurationJSON())]
        let own = "tokenizer_config.json"
        let end = description.endTokenID ?? tokenizer?.tokenizer.endOfTextID.map(Int.init)
        let mark = tokenizer?.tokenizer.addedTokens.first { Int($0.id) == end }
        let made = description.tokenizerConfigurationJSON(
            endOfText: mark.map { String(decoding: $0.content, as: UTF8.self) })
        // One that is not read here is written as it is.
        for (name, bytes) in [
            (Checkpoint.FileName.tokenizer, try tokenizer?.json ?? contents(of: Checkpoint.FileName.tokenizer)),
            (own, try contents(of: own) ?? (tokenizer == nil ? nil : made)),
            ("special_tokens_map.json", try contents(of: "special_tokens_map.json")),
        ] {
            if let bytes { others.append((name, bytes)) }
        }
        let loss = checkpoint.flatMap { ModelCard.trainLoss(of: $0) }
        let card = ModelCard(
            description: description, state: checkpoint?.state, trainLoss: loss, type: type,
            hasTokenizer: others.contains { $0.0 == Checkpoint.FileName.tokenizer })
        return others + [("README.md", Array(card.text.utf8))]
    }
}
