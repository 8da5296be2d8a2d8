import Basics
import Checkpointing
import Testing
import Transformer

/// llm.c's model files, written and read.
@Suite struct LlmcModelFileTests {
    private let root: TemporaryDirectory
    private var place: FilePath { root.path + "model.bin" }

    init() throws { root = try TemporaryDirectory() }

    /// The bytes of the format, written down anew: each tensor for all layers in turn, matrices as [out, in].
    private func expected(_ model: MemoryModel) -> [UInt8] {
        let shape = model.description.shape
        let (v, c) = (shape.vocabularySize, shape.embeddingSize)
        let padded = (v + 127) / 128 * 128
        let fields = [20_240_326, 3, shape.contextLength, v, shape.layerCount, shape.headCount, c, padded]
        var values = model.values("transformer.wte.weight") + [Float](repeating: 0, count: (padded - v) * c)
        values += model.values("transformer.wpe.weight")
        for (part, matrix) in [
            ("ln_1.weight", nil), ("ln_1.bias", nil), ("attn.c_attn.weight", (c, 3 * c)), ("attn.c_attn.bias", nil),
            ("attn.c_proj.weight", (c, c)), ("attn.c_proj.bias", nil), ("ln_2.weight", nil), ("ln_2.bias", nil),
            ("mlp.c_fc.weight", (c, 4 * c)), ("mlp.c_fc.bias", nil), ("mlp.c_proj.weight", (4 * c, c)),
            ("mlp.c_proj.bias", nil),
        ] as [(String, (Int, Int)?)] {
            for layer in 0..<shape.layerCount {
                let tensor = model.values("transformer.h.\(layer).\(part)")
                values += matrix.map { flipped(tensor, rows: $0.0, columns: $0.1) } ?? tensor
            }
        }
        values += model.values("transformer.ln_f.weight") + model.values("transformer.ln_f.bias")
        return fields.flatMap { littleEndian($0, 4) } + [UInt8](repeating: 0, count: 1024 - 32) + bytes(of: values)
    }

    private func write(_ model: MemoryModel, _ type: ExportedType = .fp32) throws {
        TemporaryDirectory.remove(place)
        try ExportOutput(path: place).writeLlmc(model, as: type)
    }

    @Test("byte for byte", arguments: [(7, 8, 2, 2), (128, 6, 1, 3), (129, 2, 3, 1)])
    func golden(vocabulary: Int, width: Int, layers: Int, heads: Int) throws {
        let model = MemoryModel(modelDescription(vocabulary, 5, width, layers, heads).shape)
        try write(model)
        #expect(try readFile(place) == expected(model))
    }

    @Test func bf16IsTheUpperHalf() throws {
        let model = MemoryModel(try smallShape(.gpt2))
        try write(model, .bf16)
        let (found, whole) = (try readFile(place), expected(model))
        #expect(found.count == 1024 + (whole.count - 1024) / 2)
        #expect(found[4] == 5 && Array(found[8..<1024]) == Array(whole[8..<1024]))
        // What bf16 holds exactly comes back as it was.
        let file = try LlmcModelFile(path: place)
        for tensor in model.description.tensors {
            let expected = model.values(tensor.name).map { value in
                Float(bitPattern: (value.bitPattern + 0x7FFF + (value.bitPattern >> 16) & 1) & 0xFFFF_0000)
            }
            #expect(try file.values(of: tensor) == expected, "\(tensor.name)")
        }
    }

    @Test func readsBack() throws {
        let model = MemoryModel(try smallShape(.gpt2))
        try write(model)
        let saved = try SavedModel(place)
        #expect(saved.checkpoint == nil && saved.isFile)
        #expect(try saved.contents(of: "tokenizer.json") == nil)
        // Such a file names no token.
        #expect(saved.files.description == ModelDescription(shape: model.description.shape))
        for (name, values) in try saved.files.allValues() { #expect(values == model.values(name), "\(name)") }
        var values: [Float] = [0]
        let error = try thrown { () throws -> Void in
            var span = values.mutableSpan
            try saved.files.read("transformer.none", into: &span)
        }
        #expect(error.exitCode == .badInput)
    }

    @Test("GPT-2 alone, and what differs is named") func refusals() throws {
        for (change, word) in [
            ({ $0.activation = .gelu }, "gelu"), ({ $0.activation = .relu }, "relu"), ({ $0.innerSize = 5 }, "inner 5"),
            ({ $0.normEpsilon = 1e-6 }, "epsilon"), ({ $0.hasTiedHead = false }, "own head"),
            ({ $0.scalesAttention = false }, "not scaled"), ({ $0.scalesAttentionByLayer = true }, "by layer"),
            ({ $0 = try smallShape(.llama) }, "llama"),
        ] as [((inout DecoderConfiguration) throws -> Void, String)] {
            var shape = try smallShape(.gpt2)
            try change(&shape)
            let error = try thrown { try write(MemoryModel(shape)) }
            #expect(error.exitCode == .badInput && error.description.contains(word), "\(error)")
        }
        #expect(try thrown { try write(MemoryModel(smallShape(.gpt2)), .f16) }.exitCode == .usage)
        #expect(try fileNames(in: root.path).isEmpty)
    }

    /// Field of the header, what stands there, and words of the message.
    @Test(arguments: [
        (0, 20_240_520, "token shard"), (0, 20_240_801, "token shard"), (0, 7, "found 7"), (1, 1, "version 1"),
        (1, 4, "version 4"), (2, 0, "context length is 0"), (2, 7, "bytes, expected"), (3, 1, "vocabulary size is 1"),
        (3, 129, "pads a vocabulary of 129 to 128"), (4, -1, "number of layers is -1"), (4, 1, "holds more"),
        (4, 3, "cut short"), (5, 3, "3 heads"), (6, 1 << 30, "embedding size is 1073741824"), (7, 256, "cut short"),
        (7, -1, "pads a vocabulary"), (7, .max >> 32, "cut short"),
    ])
    func brokenHeaders(field: Int, value: Int, words: String) throws {
        try write(MemoryModel(smallShape(.gpt2)))
        var bytes = try readFile(place)
        bytes.replaceSubrange(4 * field..<4 * field + 4, with: littleEndian(value, 4))
        try writeFile(place, bytes)
        let error = try thrown { try LlmcModelFile(path: place) }
        #expect(error.exitCode == .badInput && error.description.contains(words), "\(error)")
    }

    @Test func sizes() throws {
        try write(MemoryModel(smallShape(.gpt2)))
        let whole = try readFile(place)
        for count in [0, 3, 4, 1023, 1024, whole.count - 1, whole.count + 1] {
            try writeFile(place, Array((whole + [0]).prefix(count)))
            let error = try thrown { try LlmcModelFile(path: place) }
            #expect(error.exitCode == .badInput, "\(count)")
            if count >= 1024 {
                #expect(error.description.contains("\(count) bytes, expected \(whole.count)"), "\(error)")
            }
        }
        #expect(try thrown { try LlmcModelFile(path: root.path + "none") }.exitCode == .missingInput)
    }

    @Test func valuesThatAreNotFinite() throws {
        try write(MemoryModel(smallShape(.gpt2)))
        var bytes = try readFile(place)
        bytes.replaceSubrange(1024..<1028, with: littleEndian(Int(Float.nan.bitPattern), 4))
        try writeFile(place, bytes)
        let file = try LlmcModelFile(path: place)
        let error = try thrown { try file.allValues() }
        #expect(error.exitCode == .badInput && error.description.contains("wte.weight"))
    }
}
