import Basics
import Transformer

/// A model file of llm.c open for reading, fp32 or bf16, with a padded vocabulary. It has no tokenizer.
package struct LlmcModelFile: ModelFiles {
    package let path: FilePath
    package let description: ModelDescription
    private let file: InputFile
    private let type: ExportedType
    private let places: [String: (place: LlmcFormat.Place, offset: Int)]

    /// Opens a file and checks its header and size, before memory is taken for anything in it.
    ///
    /// Throws 66 where it is not there, 65 with expected and found where it is no such file.
    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let file = try InputFile(path, fileSystem: fileSystem)
        func bad(_ what: String) -> ExitError { ExitError(.badInput, "\(path.shown) \(what)") }
        let header = try file.availableBytes(LlmcFormat.headerSize, at: 0)
        func field(_ index: Int) -> Int {
            Int(Int32(truncatingIfNeeded: (0..<4).reduce(0) { $0 | Int(header[4 * index + $1]) << (8 * $1) }))
        }
        guard header.count == LlmcFormat.headerSize, field(0) == LlmcFormat.magic else {
            let start = header.count < 4 ? nil : field(0)
            if let start, Self.shardMagics.contains(start) {
                throw bad("is a token shard and no model; give it to --train-data, --val-data or --data")
            }
            if InputFile.isLFSPointer(header) { throw bad("is no model: \(InputFile.lfsAdvice)") }
            throw bad(
                "is a file, expected a run, checkpoint or model directory, or a model file of llm.c: \(LlmcFormat.magic) "
                    + "at its start, found \(start.map { "\($0)" } ?? "\(header.count) bytes")")
        }
        guard let type = LlmcFormat.versions.first(where: { $0.value == field(1) })?.key else {
            throw bad(
                "is of version \(field(1)) of llm.c's model files, expected 3 (fp32) or 5 (bf16); write it again with a "
                    + "newer llm.c")
        }
        description = try naming(path.shown) {
            ModelDescription(
                shape: try DecoderConfiguration(
                    vocabularySize: field(3), contextLength: field(2), embeddingSize: field(6), layerCount: field(4),
                    headCount: field(5)))
        }
        let shape = description.shape
        let padded = field(7)
        guard padded >= shape.vocabularySize else {
            throw bad("pads a vocabulary of \(shape.vocabularySize) to \(padded); its header is broken: copy it again")
        }
        let width = type.dataType.bitCount / 8
        let padding = (padded - shape.vocabularySize) * shape.embeddingSize
        let size = LlmcFormat.headerSize + width * (shape.parameterCount + padding)
        guard file.size == size else {
            throw bad(
                "has \(file.size) bytes, expected \(size) for what its header says; it "
                    + "\(file.size < size ? "was cut short" : "holds more than a model"): copy it again")
        }
        var places: [String: (LlmcFormat.Place, Int)] = [:]
        var offset = LlmcFormat.headerSize
        for place in LlmcFormat.places(description, paddedVocabulary: padded) {
            places[place.tensor.name] = (place, offset)
            offset += width * (place.tensor.shape.reduce(1, *) + place.padding)
        }
        self.path = path
        self.file = file
        self.type = type
        self.places = places
    }

    /// What llm.c's and Swiftlet's token shards begin with.
    private static let shardMagics = [20_240_520, 20_240_801]

    package func read(_ name: String, into values: inout MutableSpan<Float>) throws {
        guard let (place, offset) = places[name] else {
            throw ExitError(.badInput, "\(path.shown) has no tensor \(quoted(name))")
        }
        precondition(values.count == place.tensor.shape.reduce(1, *), "the destination must have the tensor's size")
        if place.isTransposed {
            // The model's [in, out] out of [out, in].
            let (rows, columns) = (place.tensor.shape[1], place.tensor.shape[0])
            var stored = [Float](repeating: 0, count: values.count)
            var span = stored.mutableSpan
            try readFloats(at: offset, into: &span)
            stored = transposed(stored, rows: rows, columns: columns)
            for index in values.indices { values[index] = stored[index] }
        } else {
            try readFloats(at: offset, into: &values)
        }
        try requireFinite(values.span, tensor: name, file: path)
    }

    private func readFloats(at offset: Int, into values: inout MutableSpan<Float>) throws {
        if type == .fp32 {
            var bytes = values.mutableBytes
            return try file.read(into: &bytes, at: offset)
        }
        var buffer = [UInt16](repeating: 0, count: min(values.count, 1 << 18))
        var done = 0
        while done < values.count {
            let count = min(buffer.count, values.count - done)
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            try file.read(into: &bytes, part: 0..<2 * count, at: offset + 2 * done)
            for index in 0..<count { values[done + index] = Float(bitPattern: UInt32(buffer[index]) << 16) }
            done += count
        }
    }
}
