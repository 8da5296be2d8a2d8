import Basics
import Checkpointing
import Testing
import Transformer

/// Directories of each family: its prefix, its buffers, its head.
@Suite struct FamilyFilesTests {
    private let root: TemporaryDirectory

    init() throws { root = try TemporaryDirectory() }

    private static let prefixes: [Architecture: String] = [
        .gpt2: "transformer.", .gptNeoX: "gpt_neox.", .llama: "model.", .mistral: "model.", .qwen2: "model.",
        .qwen3: "model.", .modern: "model.",
    ]

    /// Writes a model, every element of whose tensor i is i, and more tensors.
    private func write(
        _ description: ModelDescription, more: [TensorSource] = [], rename: (String) -> String = { $0 }
    ) throws {
        try writeFile(root.path + "config.json", description.configurationJSON())
        let tensors = description.tensors.enumerated().map { index, tensor in
            TensorSource(
                name: rename(tensor.name), shape: tensor.shape,
                floats: [Float](repeating: Float(index), count: tensor.shape.reduce(1, *)))
        }
        var bytes: [UInt8] = []
        try SafetensorsWriter.write(tensors + more) { piece in piece.withUnsafeBytes { bytes += $0 } }
        try writeFile(root.path + "model.safetensors", bytes)
    }

    private func expectAllTensors(_ description: ModelDescription, prefix: String) throws {
        let files = try HuggingFaceModelFiles(path: root.path)
        #expect(files.description == description)
        for (index, tensor) in description.tensors.enumerated() {
            for name in [tensor.name, String(tensor.name.trimmingPrefix(prefix))] {
                var values = [Float](repeating: -1, count: tensor.shape.reduce(1, *))
                var span = values.mutableSpan
                try files.read(name, into: &span)
                #expect(values.allSatisfy { $0 == Float(index) }, "\(name)")
            }
        }
    }

    @Test(arguments: Architecture.allCases, [false, true])
    func withThePrefixAndWithout(architecture: Architecture, isTied: Bool) throws {
        let prefix = try #require(Self.prefixes[architecture])
        var description = ModelDescription(shape: try .small(architecture))
        description.shape.hasTiedHead = isTied
        let plain = description.tensors.filter { !$0.name.hasPrefix(prefix) }
        #expect(plain.map(\.name) == (isTied ? [] : [architecture == .gptNeoX ? "embed_out.weight" : "lm_head.weight"]))
        try write(description)
        try expectAllTensors(description, prefix: prefix)
        try write(description) { String($0.trimmingPrefix(prefix)) }
        try expectAllTensors(description, prefix: prefix)
    }

    @Test(
        arguments: [
            (.gpt2, ["transformer.h.0.attn.bias", "h.1.attn.masked_bias"]),
            (.llama, ["model.layers.0.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"]),
            (.mistral, ["model.layers.0.self_attn.rotary_emb.inv_freq"]),
            (.qwen2, ["layers.0.self_attn.rotary_emb.inv_freq"]), (.qwen3, ["model.rotary_emb.inv_freq"]),
            (
                .gptNeoX,
                [
                    "gpt_neox.layers.0.attention.bias", "layers.1.attention.masked_bias",
                    "gpt_neox.layers.0.attention.rotary_emb.inv_freq",
                ]
            ),
        ] as [(Architecture, [String])])
    func buffers(architecture: Architecture, names: [String]) throws {
        let description = ModelDescription(shape: try .small(architecture))
        let prefix = try #require(Self.prefixes[architecture])
        func tensor(_ name: String) -> TensorSource { TensorSource(name: name, shape: [1], floats: [1]) }
        try write(description, more: names.map(tensor))
        try expectAllTensors(description, prefix: prefix)
        // Another family's are none here.
        let other = architecture == .gpt2 ? "h.0.attention.bias" : "layers.0.attn.bias"
        try write(description, more: [tensor(other)])
        let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
        #expect(error.description.contains("\"\(prefix)\(other)\" with shape [1] is not expected"), "\(error)")
    }

    /// Whatever its name, it has to be the token embedding.
    @Test(
        arguments: [(.llama, "lm_head"), (.modern, "lm_head"), (.gptNeoX, "embed_out"), (.gptNeoX, "lm_head")]
            as [(Architecture, String)])
    func tiedHeads(architecture: Architecture, head: String) throws {
        var description = ModelDescription(shape: try .small(architecture))
        description.shape.hasTiedHead = true
        let prefix = try #require(Self.prefixes[architecture])
        func tensor(_ value: Float) -> TensorSource {
            TensorSource(name: head + ".weight", shape: [7, 16], floats: [Float](repeating: value, count: 112))
        }
        try write(description, more: [tensor(0)])
        try expectAllTensors(description, prefix: prefix)
        let embedding = description.tensors[0].name
        try write(description) { $0 == embedding ? head + ".weight" : $0 }
        try expectAllTensors(description, prefix: prefix)
        try write(description, more: [tensor(1)])
        let error = try thrown { try expectAllTensors(description, prefix: prefix) }
        #expect(error.exitCode == .badInput)
        #expect(error.description.contains(".weight is not tied to \(embedding): it is 1.0 at place 0"), "\(error)")
    }

    /// In memory `transformers` 5 calls GPT-NeoX's head as it calls all others.
    @Test func anotherNameOfTheHead() throws {
        let description = ModelDescription(shape: try .small(.gptNeoX))
        try write(description) { $0 == "embed_out.weight" ? "lm_head.weight" : $0 }
        try expectAllTensors(description, prefix: "gpt_neox.")
        let twice = TensorSource(name: "lm_head.weight", shape: [7, 16], floats: [Float](repeating: 0, count: 112))
        try write(description, more: [twice])
        let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
        #expect(error.description.contains("tensor \"embed_out.weight\" is there twice"), "\(error)")
    }
}
