import Basics
import Transformer

/// llm.c's model files, such as `gpt2_124M.bin`: a header of 256 little-endian int32 (magic, version, context length,
/// vocabulary size, layers, heads, width, padded vocabulary size), then the tensors.
///
/// Each of the tensors of a block stands there for all layers in turn, matrices as [out, in]. The token embedding has rows
/// of zeros after its own, up to the padded vocabulary size. Source: `write_model` of llm.c's `train_gpt2.py`.
enum LlmcFormat {
    static let magic = 20_240_326
    static let headerSize = 1024
    /// Of fp32 and of bf16 with a padded vocabulary.
    static let versions: [ExportedType: Int] = [.fp32: 3, .bf16: 5]
    private static let vocabularyMultiple = 128

    /// A tensor of the model in the order of the file.
    struct Place {
        let tensor: ExpectedTensor
        /// Whether it is a matrix that the model has as [in, out].
        let isTransposed: Bool
        /// Zeros after it.
        var padding = 0
    }

    private static let blockParts = [
        "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
        "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias",
    ]

    static func paddedSize(of vocabulary: Int) -> Int {
        (vocabulary + vocabularyMultiple - 1) / vocabularyMultiple * vocabularyMultiple
    }

    /// The tensors in the order of the file.
    /// - Precondition: the model is GPT-2 as `require` wants it.
    static func places(_ description: ModelDescription, paddedVocabulary: Int) -> [Place] {
        let shape = description.shape
        let tensors = Dictionary(uniqueKeysWithValues: description.tensors.map { ($0.name, $0) })
        func place(_ name: String) -> Place {
            guard let tensor = tensors[shape.architecture.tensorNames.base + name] else {
                preconditionFailure("GPT-2 has no tensor \(name)")
            }
            return Place(tensor: tensor, isTransposed: name.hasPrefix("h.") && tensor.shape.count == 2)
        }
        var places = ["wte.weight", "wpe.weight"].map(place)
        places[0].padding = (paddedVocabulary - shape.vocabularySize) * shape.embeddingSize
        for part in blockParts { places += (0..<shape.layerCount).map { place("h.\($0).\(part)") } }
        return places + ["ln_f.weight", "ln_f.bias"].map(place)
    }

    /// Checks that llm.c would compute the same.
    /// - Throws: `ExitError` (65) naming what differs.
    static func require(_ shape: DecoderConfiguration, of path: FilePath) throws(ExitError) {
        let family = shape.architecture == .gpt2 ? [] : ["the family \(shape.architecture.rawValue)"]
        let differences = family + shape.differences
        guard !differences.isEmpty else { return }
        throw ExitError(
            .badInput,
            "\(path.shown) cannot become a file of llm.c, which computes GPT-2 alone: this model is otherwise by "
                + "\(differences.joined(separator: ", ")); export it with --format huggingface")
    }

    /// Hands the file of a model, piece by piece, to `sink`: the bytes that llm.c's own `train_gpt2.py` writes.
    /// - Throws: `ExitError` (65) where llm.c has no such model, 64 where it has no such type; as `ModelFiles.read`.
    static func write(_ files: any ModelFiles, as type: ExportedType, to sink: (RawSpan) throws -> Void) throws {
        let shape = files.description.shape
        try require(shape, of: files.path)
        guard let version = versions[type] else {
            throw ExitError(.usage, "--dtype \(type.rawValue) is nothing that llm.c reads; give fp32 or bf16")
        }
        let padded = paddedSize(of: shape.vocabularySize)
        let fields = [
            magic, version, shape.contextLength, shape.vocabularySize, shape.layerCount, shape.headCount,
            shape.embeddingSize, padded,
        ]
        let header = fields.flatMap { littleEndian($0, 4) }
        try sink((header + [UInt8](repeating: 0, count: headerSize - header.count)).span.bytes)
        for place in places(files.description, paddedVocabulary: padded) {
            let dimensions = place.tensor.shape
            let source = files.source(place.tensor, as: type) { values in
                place.isTransposed ? transposed(values, rows: dimensions[0], columns: dimensions[1]) : values
            }
            try source.withBytes(sink)
            try sink([UInt8](repeating: 0, count: place.padding * type.dataType.bitCount / 8).span.bytes)
        }
    }
}
