import Basics
import Checkpointing
import Kernels
import Transformer

/// A model in memory: element i of its tensor t is t + i / 1024, so that each has another value.
struct MemoryModel: ModelFiles {
    let path: FilePath = "memory"
    let description: ModelDescription
    /// What stands in the place of values, by the names of their tensors.
    var changes: [String: (place: Int, value: Float)] = [:]

    init(_ shape: DecoderConfiguration) { description = ModelDescription(shape: shape, beginTokenID: 1, endTokenID: 2) }

    func values(_ name: String) -> [Float] {
        guard let number = description.tensors.firstIndex(where: { $0.name == name }) else { return [] }
        let count = description.tensors[number].shape.reduce(1, *)
        var values = (0..<count).map { Float(number) + Float($0) / 1024 }
        if let change = changes[name] { values[change.place] = change.value }
        return values
    }

    func read(_ name: String, into target: inout MutableSpan<Float>) throws {
        let values = values(name)
        precondition(values.count == target.count)
        for index in values.indices { target[index] = values[index] }
    }
}

/// Two layers and two heads of four columns, of which Llama's kin share one of keys and values.
func smallShape(_ architecture: Architecture) throws -> DecoderConfiguration {
    let hasGroups = [.llama, .mistral, .qwen2, .qwen3].contains(architecture)
    var shape = try DecoderConfiguration.newModel(
        architecture, vocabularySize: 7, contextLength: 6, embeddingSize: 8, layerCount: 2, headCount: 2,
        keyValueHeadCount: hasGroups ? 1 : nil, innerSize: architecture == .gpt2 ? nil : 12)
    shape.initialization = .gpt2
    return shape
}

/// [rows, columns] as [columns, rows], element by element.
func flipped(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    (0..<columns).flatMap { column in (0..<rows).map { row in values[row * columns + column] } }
}

func bytes(of values: [Float]) -> [UInt8] { values.flatMap { littleEndian(Int($0.bitPattern), 4) } }

extension ModelFiles {
    /// All tensors by name.
    func allValues() throws -> [String: [Float]] {
        var all: [String: [Float]] = [:]
        for tensor in description.tensors { all[tensor.name] = try values(of: tensor) }
        return all
    }
}
