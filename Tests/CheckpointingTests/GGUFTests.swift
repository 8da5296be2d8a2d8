import Basics
import Checkpointing
import Kernels
import TestSupport
import Testing
import Transformer

/// GGUF files: the bytes of the container, and models in llama.cpp's terms.
@Suite struct GGUFTests {
    private func collect(_ file: GGUFFile) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try file.write { piece in piece.withUnsafeBytes { bytes += $0 } }
        return bytes
    }

    private func text(_ text: String) -> [UInt8] { littleEndian(text.utf8.count, 8) + Array(text.utf8) }

    @Test("byte for byte") func golden() throws {
        let half: [UInt16] = [0x3F80, 0x4000, 0x4040]
        let file = GGUFFile(
            keys: [
                ("n", .uint32(258)), ("x", .float32(1.5)), ("yes", .bool(true)), ("s", .text("ü")),
                ("ids", .int32s([1, -1])), ("words", .strings([[0x61], [], [0x62, 0x63]])),
            ],
            tensors: [
                TensorSource(name: "a", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]),
                TensorSource(name: "b", dataType: .bf16, shape: [3]) { try $0(half.span.bytes) },
                TensorSource(name: "c", shape: [8], floats: [Float](repeating: 1, count: 8)),
            ])
        var expected: [UInt8] = [0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]
        expected += text("n") + [4, 0, 0, 0, 2, 1, 0, 0]
        expected += text("x") + [6, 0, 0, 0, 0, 0, 0xC0, 0x3F]
        expected += text("yes") + [7, 0, 0, 0, 1]
        expected += text("s") + [8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xC3, 0xBC]
        expected += text("ids") + [9, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]
        expected +=
            text("words") + [9, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0] + text("a") + text("") + text("bc")
        // The dimension that varies fastest first, then type and place.
        expected +=
            text("a") + [2, 0, 0, 0] + littleEndian(3, 8) + littleEndian(2, 8) + [0, 0, 0, 0] + littleEndian(0, 8)
        expected += text("b") + [1, 0, 0, 0] + littleEndian(3, 8) + [30, 0, 0, 0] + littleEndian(32, 8)
        expected += text("c") + [1, 0, 0, 0] + littleEndian(8, 8) + [0, 0, 0, 0] + littleEndian(64, 8)
        expected += [UInt8](repeating: 0, count: (32 - expected.count % 32) % 32)
        expected += bytes(of: [1, 2, 3, 4, 5, 6]) + [UInt8](repeating: 0, count: 8)
        expected += [0x80, 0x3F, 0, 0x40, 0x40, 0x40] + [UInt8](repeating: 0, count: 26)
        expected += bytes(of: [Float](repeating: 1, count: 8))
        #expect(try collect(file) == expected)
    }

    /// The tensors of a file by name, fp32 ones with their values.
    private func tensors(_ model: MemoryModel, _ type: ExportedType = .fp32) throws -> [String: TensorSource] {
        let file = try GGUFModel(model).file(name: "small", as: type, vocabulary: [])
        return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
    }

    private func values(_ tensor: TensorSource?) throws -> [Float] {
        let tensor = try #require(tensor)
        try #require(tensor.dataType == .f32)
        var bytes: [UInt8] = []
        try tensor.withBytes { piece in piece.withUnsafeBytes { bytes += $0 } }
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
        }
    }

    @Test func gpt2() throws {
        let model = MemoryModel(try smallShape(.gpt2))
        let found = try tensors(model)
        let block = ["attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"]
        let names = ["token_embd.weight", "position_embd.weight", "output_norm.weight", "output_norm.bias"]
        #expect(
            Set(found.keys)
                == Set(
                    names + [0, 1].flatMap { n in block.flatMap { ["blk.\(n).\($0).weight", "blk.\(n).\($0).bias"] } }))
        #expect(try values(found["token_embd.weight"]) == model.values("transformer.wte.weight"))
        #expect(found["token_embd.weight"]?.shape == [7, 8])
        for (name, own, rows, columns) in [
            ("attn_qkv", "attn.c_attn", 8, 24), ("attn_output", "attn.c_proj", 8, 8), ("ffn_up", "mlp.c_fc", 8, 32),
            ("ffn_down", "mlp.c_proj", 32, 8),
        ] {
            let tensor = found["blk.1.\(name).weight"]
            #expect(tensor?.shape == [columns, rows])
            let expected = flipped(model.values("transformer.h.1.\(own).weight"), rows: rows, columns: columns)
            #expect(try values(tensor) == expected, "\(name)")
            let bias = model.values("transformer.h.1.\(own).bias")
            #expect(try values(found["blk.1.\(name).bias"]) == bias)
        }
    }

    /// A head of queries has first halves of all pairs, then second halves; llama.cpp's llama has pair by pair.
    @Test(arguments: [Architecture.llama, .mistral, .qwen2, .qwen3]) func rotaryRows(architecture: Architecture) throws
    {
        let model = MemoryModel(try smallShape(architecture))
        let found = try tensors(model)
        let isPaired = architecture == .llama || architecture == .mistral
        for (name, own, heads) in [("attn_q", "q_proj", 2), ("attn_k", "k_proj", 1), ("attn_v", "v_proj", 1)] {
            let rows = model.values("model.layers.1.self_attn.\(own).weight")
            var expected: [Float] = []
            for head in 0..<heads {
                let order = isPaired && name != "attn_v" ? [0, 2, 1, 3] : [0, 1, 2, 3]
                for row in order { expected += rows[(4 * head + row) * 8..<(4 * head + row + 1) * 8] }
            }
            #expect(try values(found["blk.1.\(name).weight"]) == expected, "\(name)")
            #expect((found["blk.1.\(name).bias"] != nil) == (architecture == .qwen2))
        }
        #expect((found["blk.0.attn_q_norm.weight"] != nil) == (architecture == .qwen3))
        #expect((found["output.weight"] == nil) == model.description.shape.hasTiedHead)
        #expect(found["blk.0.ffn_gate.weight"]?.shape == [12, 8] && found["blk.0.ffn_down.weight"]?.shape == [8, 12])
    }

    @Test func biasesOfLlamaGoWithTheirRows() throws {
        var shape = try smallShape(.llama)
        shape.hasQueryKeyValueBias = true
        shape.hasProjectionBias = true
        let model = MemoryModel(shape)
        let own = model.values("model.layers.0.self_attn.q_proj.bias")
        #expect(try values(tensors(model)["blk.0.attn_q.bias"]) == [0, 2, 1, 3, 4, 6, 5, 7].map { own[$0] })
    }

    @Test func queryKeyAndValueOfGPTNeoX() throws {
        let model = MemoryModel(try smallShape(.gptNeoX))
        let found = try tensors(model)
        // Heads of 4 columns: query, key, value of the first, then of the second.
        let order = [0, 12, 4, 16, 8, 20].flatMap { $0..<$0 + 4 }
        let (weight, bias) = (
            model.values("gpt_neox.layers.1.attention.query_key_value.weight"),
            model.values("gpt_neox.layers.1.attention.query_key_value.bias")
        )
        #expect(try values(found["blk.1.attn_qkv.weight"]) == order.flatMap { weight[8 * $0..<8 * $0 + 8] })
        #expect(try values(found["blk.1.attn_qkv.bias"]) == order.map { bias[$0] })
        var tied = model.description.shape
        tied.hasTiedHead = true
        let copy = MemoryModel(tied)
        #expect(try values(tensors(copy)["output.weight"]) == copy.values("gpt_neox.embed_in.weight"))
    }

    @Test func matricesAloneAreNarrow() throws {
        for (name, tensor) in try tensors(MemoryModel(smallShape(.gpt2)), .f16) {
            let isMatrix = tensor.shape.count == 2 && name != "position_embd.weight"
            #expect(tensor.dataType == (isMatrix ? .f16 : .f32), "\(name)")
        }
    }

    /// As llama.cpp's converter computes it: what each pair's angle is divided by.
    @Test func scalingOfLlama3() throws {
        var shape = try smallShape(.llama)
        shape.positions = .rotary(
            RotaryPositions(
                theta: 100, rotatedSize: 4,
                scaling: .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 80)))
        // Wave lengths 2π and 20π: the first is below 80 / 4, the second between that and 80.
        let smooth = (80 / (20 * Double.pi) - 1) / 3
        let found = try values(tensors(MemoryModel(shape))["rope_freqs.weight"])
        #expect(found.count == 2 && found[0] == 1)
        #expect((Double(found[1]) - 1 / ((1 - smooth) / 8 + smooth)).magnitude < 1e-5)
        #expect(try tensors(MemoryModel(smallShape(.llama)))["rope_freqs.weight"] == nil)
    }

    @Test func keys() throws {
        func keys(_ shape: DecoderConfiguration, _ type: ExportedType = .fp32) throws -> [String: String] {
            let file = try GGUFModel(MemoryModel(shape)).file(
                name: "small", as: type, vocabulary: [("v", .bool(false))])
            return Dictionary(uniqueKeysWithValues: file.keys.map { ($0.name, "\($0.value)") })
        }
        let gpt2 = try keys(smallShape(.gpt2), .bf16)
        #expect(gpt2["general.architecture"] == "\(GGUFValue.text("gpt2"))" && gpt2["v"] == "bool(false)")
        #expect(gpt2["general.file_type"] == "uint32(32)" && gpt2["gpt2.feed_forward_length"] == "uint32(32)")
        #expect(gpt2["gpt2.context_length"] == "uint32(6)" && gpt2["gpt2.block_count"] == "uint32(2)")
        #expect(gpt2["gpt2.attention.layer_norm_epsilon"] == "float32(1e-05)")
        #expect(gpt2["gpt2.rope.freq_base"] == nil)
        var shape = try smallShape(.qwen3)
        shape.positions = .rotary(RotaryPositions(theta: 5000, rotatedSize: 4, scaling: .linear(factor: 2)))
        let qwen = try keys(shape, .f16)
        #expect(qwen["general.file_type"] == "uint32(1)" && qwen["qwen3.attention.head_count_kv"] == "uint32(1)")
        #expect(
            qwen["qwen3.attention.layer_norm_rms_epsilon"] != nil && qwen["qwen3.rope.freq_base"] == "float32(5000.0)")
        #expect(
            qwen["qwen3.rope.scaling.factor"] == "float32(2.0)" && qwen["qwen3.attention.key_length"] == "uint32(4)")
        var neox = try smallShape(.gptNeoX)
        neox.hasParallelResidual = false
        #expect(try keys(neox)["gptneox.use_parallel_residual"] == "bool(false)")
        #expect(try keys(neox)["gptneox.rope.dimension_count"] == "uint32(2)")
        #expect(try keys(smallShape(.mistral))["llama.vocab_size"] == "uint32(7)")
    }

    @Test("what llama.cpp does not compute is refused by name") func refusals() throws {
        for (architecture, change, word) in [
            (.gpt2, { $0.activation = .relu }, "relu"), (.gpt2, { $0.scalesAttention = false }, "not scaled"),
            (.gpt2, { $0.scalesAttentionByLayer = true }, "by layer"),
            (.llama, { $0.activation = .gelu }, "activation gelu"),
            (.qwen3, { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (true, true) }, "with biases"),
            (.gptNeoX, { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (false, false) }, "without biases"),
            (
                .qwen2,
                {
                    $0.positions = .rotary(
                        RotaryPositions(
                            theta: 1e4, rotatedSize: 4,
                            scaling: .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 80)))
                }, "Llama 3"
            ),
        ] as [(Architecture, (inout DecoderConfiguration) -> Void, String)] {
            var shape = try smallShape(architecture)
            change(&shape)
            let error = try thrown { try GGUFModel(MemoryModel(shape)) }
            #expect(error.exitCode == .badInput && error.description.contains(word), "\(error)")
        }
        var exact = try smallShape(.gpt2)
        exact.activation = .gelu
        #expect(try GGUFModel(MemoryModel(exact)).warnings.count == 1)
        #expect(try GGUFModel(MemoryModel(smallShape(.gpt2))).warnings.isEmpty)
    }
}
