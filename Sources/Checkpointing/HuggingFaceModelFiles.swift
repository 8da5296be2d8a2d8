/// A Hugging Face GPT-2 directory open for reading: its shape, and its weights as fp32 whatever they are stored in.
///
/// Reads one `model.safetensors` or a sharded model with its index; names with the prefix `transformer.` or without;
/// F32, BF16 and F16. The causal mask that old files carry as buffers is ignored, and so is `lm_head.weight`, which
/// is tied to the token embedding. Links are followed: Hugging Face's own cache consists of them.
public struct HuggingFaceModelFiles: Sendable {
    /// The directory.
    public let path: String
    /// The model's shape.
    public let description: GPT2ModelDescription
    private let places: [JSONName: (file: SafetensorsFile, entry: TensorEntry)]

    private static let prefix = "transformer."

    /// Reads the shape and every tensor table, and checks that they fit each other.
    ///
    /// Throws `.missing` when a file is not there, `.invalid` with expected and found when it does not fit.
    public init(path: String, fileSystem: any FileSystem = LocalFileSystem()) throws(CheckpointError) {
        let configuration = try InputFile(path: path + "/config.json", followLinks: true, fileSystem: fileSystem)
        let description = try GPT2ModelDescription(
            configurationJSON: configuration.contents(limit: 16 << 20), file: configuration.path)
        var places: [JSONName: (file: SafetensorsFile, entry: TensorEntry)] = [:]
        for name in try Self.weightFiles(path, fileSystem) {
            let file = try SafetensorsFile(path: path + "/" + name, followLinks: true, fileSystem: fileSystem)
            for entry in file.tensors where !Self.isIgnored(entry.name) {
                let full = entry.name.hasPrefix(Self.prefix) ? entry.name : Self.prefix + entry.name
                guard places.updateValue((file, entry), forKey: JSONName(full)) == nil else {
                    throw CheckpointError(.invalid, "\(file.path): tensor \(quoted(full)) is there twice")
                }
            }
        }
        // A file may have been saved with the tied weight under its other name alone.
        let embedding = JSONName("transformer.wte.weight")
        let head = places.removeValue(forKey: JSONName(Self.prefix + "lm_head.weight"))
        if places[embedding] == nil { places[embedding] = head }
        let found = places.map { name, place in
            TensorEntry(
                name: name.text, dataType: place.entry.dataType, shape: place.entry.shape, range: place.entry.range)
        }
        try TensorDifferences(
            expected: description.tensors, found: found.sorted { $0.name < $1.name }, dataTypes: [.f32, .bf16, .f16]
        ).throwIfAny(in: path)
        self.path = path
        self.description = description
        self.places = places
    }

    /// Copies a tensor, named as in `description.tensors` (the prefix may be left out), widened to fp32. Values that
    /// are not finite are refused, `.invalid` naming the tensor.
    ///
    /// - Precondition: `values` has exactly the tensor's number of elements.
    public func read(_ name: String, into values: inout MutableSpan<Float>) throws(CheckpointError) {
        let full = name.hasPrefix(Self.prefix) ? name : Self.prefix + name
        guard let place = places[JSONName(full)] else {
            throw CheckpointError(.invalid, "\(path) has no tensor \(quoted(full))")
        }
        try place.file.readFloats(place.entry, into: &values)
        try requireFinite(values.span, tensor: full, file: place.file.path)
    }

    /// The bytes of a further file of the directory, such as `tokenizer.json`, or nil when it is not there.
    public static func contents(
        of name: String, in path: String, limit: Int = 64 << 20, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(CheckpointError) -> [UInt8]? {
        do {
            return try InputFile(path: path + "/" + name, followLinks: true, fileSystem: fileSystem)
                .contents(limit: limit)
        } catch {
            if error.kind == .missing { return nil }
            throw error
        }
    }

    /// The mask buffers `h.N.attn.bias` and `h.N.attn.masked_bias` of old files; they are no weights.
    private static func isIgnored(_ name: String) -> Bool {
        name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias")
    }

    /// The names of the files with weights: the one, or those of the index.
    private static func weightFiles(_ path: String, _ fileSystem: any FileSystem) throws(CheckpointError) -> [String] {
        let indexName = "model.safetensors.index.json"
        let single = Checkpoint.FileName.model
        if (try? fileSystem.status(path: path + "/" + single)) != nil { return [single] }
        guard let bytes = try contents(of: indexName, in: path, limit: 16 << 20, fileSystem: fileSystem) else {
            return [single]
        }
        let index = path + "/" + indexName
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes)
        } catch {
            throw CheckpointError(.invalid, "\(index): \(error)")
        }
        guard let map = value.object?["weight_map"]?.object else {
            throw CheckpointError(.invalid, "\(index): weight_map is missing or no object")
        }
        var names: Set<String> = []
        for (tensor, file) in map.members {
            guard let name = file.string, Manifest.isPlainName(name), name.hasSuffix(".safetensors") else {
                throw CheckpointError(
                    .invalid,
                    "\(index): weight_map gives \(quoted(file.string ?? file.kindName)) for \(quoted(tensor)), "
                        + "expected the plain name of a .safetensors file beside it")
            }
            names.insert(name)
        }
        return names.sorted()
    }
}
