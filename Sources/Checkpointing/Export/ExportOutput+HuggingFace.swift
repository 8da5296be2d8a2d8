import Basics
import Transformer

extension ExportOutput {
    /// What a file of weights holds at most, in bytes.
    package static let shardLimit = 5_000_000_000

    /// Writes a Hugging Face model directory: `config.json`, the weights, and what else is given.
    ///
    /// The weights are one `model.safetensors`, or, beyond `shardLimit` bytes, `model-00001-of-0000N.safetensors`, … with
    /// `model.safetensors.index.json`; a tensor is never divided.
    /// - Parameter others: further files by name.
    /// - Throws: `ExitError` (65) for the architecture `modern`, and for weights that `type` cannot hold; as `writeFile`.
    package func writeHuggingFace(
        _ files: any ModelFiles, as type: ExportedType, others: [(name: String, bytes: [UInt8])],
        shardLimit: Int = Self.shardLimit
    ) throws {
        let description = files.description
        guard description.shape.architecture != .modern else {
            throw ExitError(
                .badInput,
                "\(files.path.shown) has the architecture modern, which transformers does not compute; use it with swiftlet, "
                    + "or train a model of another architecture")
        }
        let small = [(name: Checkpoint.FileName.configuration, bytes: description.configurationJSON(as: type))] + others
        let shards = Self.shards(description.tensors, type, limit: shardLimit)
        var output = small.map { file in
            (name: file.name, body: { (sink: (RawSpan) throws -> Void) in try sink(file.bytes.span.bytes) })
        }
        var places: [(String, JSONText)] = []
        for (index, shard) in shards.enumerated() {
            let name = Self.shardName(index, of: shards.count)
            let sources = shard.map { files.source($0, as: type) }
            output.append((name: name, body: { (sink) in try SafetensorsWriter.write(sources, to: sink) }))
            places += shard.map { ($0.name, .string(name)) }
        }
        if shards.count > 1 {
            let size = Self.byteCount(description.tensors, type)
            let index = JSONText.object([
                ("metadata", .object([("total_size", .number(size))])),
                ("weight_map", .object(places.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) })),
            ]).pretty
            output.append(
                (name: Checkpoint.FileName.model + ".index.json", body: { (sink) in try sink(index.span.bytes) }))
        }
        try writeDirectory(output)
    }

    private static func shardName(_ index: Int, of count: Int) -> String {
        guard count > 1 else { return Checkpoint.FileName.model }
        return "model-\(padded("\(index + 1)", to: 5))-of-\(padded("\(count)", to: 5)).safetensors"
    }

    /// Neighbouring tensors together as long as they fit.
    private static func shards(_ tensors: [ExpectedTensor], _ type: ExportedType, limit: Int) -> [[ExpectedTensor]] {
        var shards: [[ExpectedTensor]] = []
        var room = 0
        for tensor in tensors {
            let size = byteCount([tensor], type)
            if shards.isEmpty || size > room {
                shards.append([])
                room = limit
            }
            shards[shards.count - 1].append(tensor)
            room -= size
        }
        return shards
    }

    private static func byteCount(_ tensors: [ExpectedTensor], _ type: ExportedType) -> Int {
        tensors.reduce(0) { $0 + $1.shape.reduce(type.dataType.bitCount / 8, *) }
    }
}

extension ModelDescription {
    /// The bytes of `config.json` for weights of this type.
    package func configurationJSON(as type: ExportedType) -> [UInt8] {
        guard let json = try? JSON(configurationJSON()), case .object(let members) = JSONText(json) else {
            preconditionFailure("a configuration is a JSON object")
        }
        let changed = members.map { name, value in
            (name, ["dtype", "torch_dtype"].contains(name) ? .string(type.torchName) : value)
        }
        return JSONText.object(changed).pretty + [0x0A]
    }
}

extension JSONText {
    /// What was read, to be written again.
    fileprivate init(_ json: JSON) {
        if let members = json.members {
            self = .object(members.map { (String(decoding: $0.name, as: UTF8.self), JSONText($0.value)) })
        } else if let elements = json.elements {
            self = .array(elements.map { JSONText($0) })
        } else if let bytes = json.bytes {
            self = .string(bytes)
        } else {
            self = .literal(json.source)
        }
    }
}
