import Basics

/// A model open for reading: its shape, and its weights as fp32 whatever they are stored in. It comes from a Hugging Face
/// directory or from a checkpoint of ours.
///
/// Reads one `model.safetensors` or a sharded model with its index; names with the family's prefix, such as
/// `transformer.`, or without; F32, BF16 and F16. What old files carry as buffers, such as the causal mask, is ignored.
/// Where the head is tied to the token embedding, it may be there only with the same values. Links are followed: Hugging
/// Face's own cache consists of them.
package struct HuggingFaceModelFiles: Sendable {
    /// The directory.
    package let path: FilePath
    /// The model's shape.
    package let description: ModelDescription
    private typealias Place = (file: SafetensorsFile, entry: TensorEntry)
    private let names: FileNames
    private let places: [[UInt8]: Place]
    private let head: Place?

    /// Reads the shape and every tensor table, and checks that they fit each other.
    ///
    /// Throws 66 when a file is not there, 65 with expected and found when it does not fit.
    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let configuration = try InputFile(path.appending(Checkpoint.FileName.configuration), fileSystem: fileSystem)
            .contents(limit: ModelDescription.sizeLimit)
        let files = try Self.weightFiles(path, fileSystem).map {
            try SafetensorsFile(path: path.appending($0), fileSystem: fileSystem)
        }
        try self.init(path, configuration, files)
    }

    /// The model of a verified checkpoint.
    package init(_ checkpoint: Checkpoint) throws {
        try self.init(
            checkpoint.path, checkpoint.contents(of: Checkpoint.FileName.configuration) ?? [], [checkpoint.model])
    }

    private init(_ path: FilePath, _ configuration: [UInt8], _ files: [SafetensorsFile]) throws {
        description = try ModelDescription(
            configurationJSON: configuration, file: path.appending(Checkpoint.FileName.configuration).shown)
        let names = FileNames(description)
        var places: [[UInt8]: Place] = [:]
        for file in files {
            for entry in file.tensors where !names.isBuffer(entry.name) {
                let full = names.full(entry.name)
                guard places.updateValue((file, entry), forKey: Array(full.utf8)) == nil else {
                    throw ExitError(.badInput, "\(file.path.shown): tensor \(quoted(full)) is there twice")
                }
            }
        }
        // A file may have been saved with the tied weight under its other name alone.
        var head = description.shape.hasTiedHead ? places.removeValue(forKey: Array(names.head.utf8)) : nil
        let embedding = Array(names.embedding.utf8)
        if let only = head, places[embedding] == nil {
            places[embedding] = only
            head = nil
        }
        let found = places.map { name, place in
            TensorEntry(
                name: String(decoding: name, as: UTF8.self), dataType: place.entry.dataType, shape: place.entry.shape,
                range: place.entry.range)
        }
        try requireTensors(
            description.tensors, among: found.sorted { $0.name < $1.name }, dataTypes: [.f32, .bf16, .f16], of: path)
        if let head, let tied = places[embedding], head.entry.shape != tied.entry.shape {
            throw names.untied(head.file.path, "has shape \(head.entry.shape), the embedding \(tied.entry.shape)")
        }
        self.path = path
        self.names = names
        self.places = places
        self.head = head
    }

    /// Copies a tensor, named as in `description.tensors` (the prefix may be left out), widened to fp32. Values that
    /// are not finite are refused, 65 naming the tensor, and so is a token embedding that a tied head is not equal to.
    ///
    /// - Precondition: `values` has exactly the tensor's number of elements.
    package func read(_ name: String, into values: inout MutableSpan<Float>) throws {
        let full = names.full(name)
        guard let place = places[Array(full.utf8)] else {
            throw ExitError(.badInput, "\(path.shown) has no tensor \(quoted(full))")
        }
        try place.file.readFloats(place.entry, into: &values)
        try requireFinite(values.span, tensor: full, file: place.file.path)
        if let head, full == names.embedding { try requireEqual(head, to: values.span) }
    }

    private func requireEqual(_ head: Place, to embedding: Span<Float>) throws {
        let values = try head.file.floats(head.entry)
        for index in values.indices where values[index] != embedding[index] {
            throw names.untied(
                head.file.path, "is \(values[index]) at place \(index), the embedding \(embedding[index])")
        }
    }

    /// The names of the files with weights: the one, or those of the index.
    private static func weightFiles(_ path: FilePath, _ fileSystem: any FileSystem) throws -> [String] {
        let single = Checkpoint.FileName.model
        if (try? fileSystem.status(path.appending(single), followLinks: false)) != nil { return [single] }
        let indexPath = path.appending("model.safetensors.index.json")
        guard let bytes = try InputFile.contents(ifPresent: indexPath, limit: 16 << 20, fileSystem: fileSystem) else {
            for pickle in ["pytorch_model.bin", "pytorch_model.bin.index.json"]
            where fileSystem.exists(path.appending(pickle)) {
                throw ExitError(
                    .badInput,
                    "\(path.shown) has its weights in \(pickle), which cannot be read without Python; convert it with: "
                        + "python -c \"from transformers import AutoModelForCausalLM as M; "
                        + "M.from_pretrained('\(path.shown)').save_pretrained('\(path.shown)')\"")
            }
            return [single]
        }
        let index = indexPath.shown
        let map = try naming(index) { try JSON(bytes).member("weight_map", "an object") { $0.members } }
        var names: Set<String> = []
        for (tensor, file) in map {
            guard let name = file.string, Manifest.isPlainName(name), name.hasSuffix(".safetensors") else {
                throw ExitError(
                    .badInput,
                    "\(index): weight_map gives \(file.source) for "
                        + "\(quoted(String(decoding: tensor, as: UTF8.self))), "
                        + "expected the plain name of a .safetensors file beside it")
            }
            names.insert(name)
        }
        return names.sorted()
    }
}

/// What a family's files call tensors.
private struct FileNames {
    /// The token embedding, in full.
    let embedding: String
    let head: String
    private let otherHeads, buffers: [String]
    private let prefix: String

    init(_ description: ModelDescription) {
        let (architecture, family) = (description.shape.architecture, description.shape.architecture.family)
        prefix = architecture.tensorNames.base
        // It stands first in every layout.
        embedding = description.tensors[0].name
        head = architecture.tensorNames.head + ".weight"
        (otherHeads, buffers) = (family.otherHeadNames, family.bufferSuffixes)
    }

    /// The layout's name of a tensor.
    func full(_ name: String) -> String {
        if name == head || otherHeads.contains(name) { return head }
        return name.hasPrefix(prefix) ? name : prefix + name
    }

    /// Whether it is no weight.
    func isBuffer(_ name: String) -> Bool { buffers.contains { name.hasSuffix($0) } }

    func untied(_ file: FilePath, _ difference: String) -> ExitError {
        ExitError(
            .badInput,
            "\(file.shown): \(head) is not tied to \(embedding): it \(difference); "
                + "set tie_word_embeddings to false in config.json if the model has a head of its own")
    }
}
