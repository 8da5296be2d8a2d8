import Basics
import Checkpointing
import Testing
import Transformer

/// GPT-2 directories as `transformers` of several ages writes them.
@Suite struct HuggingFaceModelFilesTests {
    private let root: TemporaryDirectory
    private let description = modelDescription(7, 3, 4, 1, 2)

    init() throws { root = try TemporaryDirectory() }

    private func write(_ name: String, _ tensors: [TensorSource]) throws {
        var bytes: [UInt8] = []
        try SafetensorsWriter.write(tensors) { piece in piece.withUnsafeBytes { bytes += $0 } }
        try writeFile(root.path + "/" + name, bytes)
    }

    private func writeConfiguration(_ old: String = "", _ new: String = "") throws {
        let text = String(decoding: description.configurationJSON(), as: UTF8.self)
        try #require(old.isEmpty || text.contains(old))
        try writeFile(root.path + "/config.json", Array((old.isEmpty ? text : text.replacing(old, with: new)).utf8))
    }

    /// Every element of tensor i is i.
    private func tensors(rename: (String) -> String = { $0 }) -> [TensorSource] {
        description.tensors.enumerated().map { index, tensor in
            TensorSource(
                name: rename(tensor.name), shape: tensor.shape,
                floats: [Float](repeating: Float(index), count: tensor.shape.reduce(1, *)))
        }
    }

    private func expectAllTensors(_ files: HuggingFaceModelFiles) throws {
        for (index, tensor) in description.tensors.enumerated() {
            var values = [Float](repeating: -1, count: tensor.shape.reduce(1, *))
            var span = values.mutableSpan
            try files.read(tensor.name, into: &span)
            #expect(values.allSatisfy { $0 == Float(index) }, "\(tensor.name)")
        }
    }

    @Test func knowsTheTensorsOfGPT2() {
        let small = modelDescription(50257, 1024, 768, 12, 12)
        #expect(small.shape.parameterCount == 124_439_808)
        #expect(small.tensors.count == 148)
    }

    @Test func readsItsOwnConfiguration() throws {
        var full = description
        full.beginTokenID = 0
        full.endTokenID = 6
        #expect(try ModelDescription(configurationJSON: full.configurationJSON(), file: "x") == full)
        #expect(
            String(decoding: full.generationConfigurationJSON(), as: UTF8.self).contains("\"eos_token_id\": 6"))
    }

    /// Every field of a GPT-2 variant comes back, and each alone makes another model.
    @Test func variants() throws {
        var texts: Set<[UInt8]> = [description.configurationJSON()]
        for change: (inout DecoderConfiguration) -> Void in [
            { $0.activation = .gelu }, { $0.activation = .geluTanh }, { $0.activation = .geluFast },
            { $0.activation = .relu }, { $0.activation = .silu }, { $0.activation = .reluSquared },
            { $0.innerSize = 5 }, { $0.innerSize = 99 }, { $0.normEpsilon = 1e-6 },
            { $0.hasTiedHead = false },
            { $0.scalesAttention = false }, { $0.scalesAttentionByLayer = true },
        ] {
            var model = description
            change(&model.shape)
            #expect(try ModelDescription(configurationJSON: model.configurationJSON(), file: "x") == model)
            #expect(texts.insert(model.configurationJSON()).inserted)
        }
    }

    /// Its name has no prefix, whatever the others have.
    @Test(arguments: [12, 0]) func aHeadOfItsOwn(prefix: Int) throws {
        try writeConfiguration("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false")
        let head = TensorSource(name: "lm_head.weight", shape: [7, 4], floats: [Float](repeating: 9, count: 28))
        try write("model.safetensors", tensors { String($0.dropFirst(prefix)) } + [head])
        let files = try HuggingFaceModelFiles(path: root.path)
        try expectAllTensors(files)
        var values = [Float](repeating: 0, count: 28)
        var span = values.mutableSpan
        try files.read("lm_head.weight", into: &span)
        #expect(values == [Float](repeating: 9, count: 28))
        #expect(!files.description.shape.hasTiedHead && files.description.tensors.last?.name == "lm_head.weight")
    }

    @Test func oneFileWithThePrefix() throws {
        try writeConfiguration()
        try write("model.safetensors", tensors())
        let files = try HuggingFaceModelFiles(path: root.path)
        #expect(files.description == description)
        try expectAllTensors(files)
    }

    @Test func theOriginalRepositorysNamesAndBuffers() throws {
        try writeConfiguration()
        let mask = TensorSource(name: "h.0.attn.bias", shape: [1, 1, 3, 3], floats: [Float](repeating: 1, count: 9))
        let masked = TensorSource(name: "h.0.attn.masked_bias", shape: [], floats: [-1e4])
        let head = TensorSource(name: "lm_head.weight", shape: [7, 4], floats: [Float](repeating: 0, count: 28))
        try write("model.safetensors", tensors { String($0.dropFirst(12)) } + [mask, masked, head])
        try expectAllTensors(HuggingFaceModelFiles(path: root.path))
    }

    @Test(arguments: ["pytorch_model.bin", "pytorch_model.bin.index.json"]) func pickledWeights(name: String) throws {
        try writeConfiguration()
        try writeFile(root.path + name, [0x80, 2])
        let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
        #expect(error.exitCode == 65)
        let advice = "M.from_pretrained('\(root.path)').save_pretrained('\(root.path)')"
        #expect(error.description.contains("\(name)") && error.description.contains(advice), "\(error)")
        try write("model.safetensors", tensors())
        try expectAllTensors(HuggingFaceModelFiles(path: root.path))
    }

    @Test func theHeadAlone() throws {
        try writeConfiguration()
        try write("model.safetensors", tensors { $0.hasSuffix("wte.weight") ? "lm_head.weight" : $0 })
        try expectAllTensors(HuggingFaceModelFiles(path: root.path))
    }

    @Test func shards() throws {
        try writeConfiguration()
        let all = tensors()
        try write("model-00001-of-00002.safetensors", Array(all.prefix(5)))
        try write("model-00002-of-00002.safetensors", Array(all.dropFirst(5)))
        let map = all.enumerated().map { "\"\($1.name)\":\"model-0000\($0 < 5 ? 1 : 2)-of-00002.safetensors\"" }
        let index = "{\"metadata\":{},\"weight_map\":{\(map.joined(separator: ","))}}"
        let path = root.path + "/model.safetensors.index.json"
        try writeFile(path, Array(index.utf8))
        try expectAllTensors(HuggingFaceModelFiles(path: root.path))
        for name in ["../x.safetensors", "/x.safetensors", "a/../../x.safetensors", "..", "x.bin"] {
            try writeFile(path, Array("{\"weight_map\":{\"a\":\"\(name)\"}}".utf8))
            let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
            #expect(error.exitCode == 65)
            #expect(error.description.contains("weight_map gives \"\(name)\""))
        }
    }

    @Test func sixteenBitWeights() throws {
        try writeConfiguration()
        let narrow = description.tensors.enumerated().map { index, tensor in
            TensorSource(name: tensor.name, dataType: index % 2 == 0 ? .bf16 : .f16, shape: tensor.shape) { body in
                let wide = Float(index)
                let bits = index % 2 == 0 ? UInt16(wide.bitPattern >> 16) : Float16(wide).bitPattern
                try body([UInt16](repeating: bits, count: tensor.shape.reduce(1, *)).span.bytes)
            }
        }
        try write("model.safetensors", narrow)
        try expectAllTensors(HuggingFaceModelFiles(path: root.path))
    }

    @Test(arguments: [
        (
            "\"gelu_new\"", "\"tanh\"",
            "activation_function is \"tanh\", expected gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, silu, relu2"
        ),
        ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": null", "tie_word_embeddings is null"),
        ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "\"lm_head.weight\" is missing"),
        (
            "\"model_type\": \"gpt2\"", "\"model_type\": \"bert\"",
            "model_type is \"bert\", expected \"gpt2\", \"llama\", \"mistral\""
        ),
        ("\"model_type\": \"gpt2\"", "\"model_type\": \"llama\"", "max_position_embeddings is missing"),
        ("1e-05", "0", "the norms' epsilon is 0.0, expected a number from 1e-12 to 1.0"),
        ("1e-05", "\"x\"", "layer_norm_epsilon is \"x\", expected a number"),
        ("\"n_head\": 2", "\"n_head\": 3", "embedding size 4 is not a multiple of 3 heads"),
        ("\"n_head\": 2", "\"n_head\": 0", "number of heads is 0"),
        ("\"n_embd\": 4", "\"n_embd\": 4.5", "n_embd is 4.5"),
        ("\"n_inner\": null", "\"n_inner\": 5", "has shape [4, 16], expected [4, 5]"),
        ("\"n_inner\": null", "\"n_inner\": 0", "inner size is 0"),
        ("\"n_inner\": null", "\"n_inner\": 5.5", "n_inner is 5.5, expected null or a whole number"),
        ("\"model_type\": \"gpt2\",", "", "model_type is missing"),
        (
            "\"scale_attn_weights\": true", "\"scale_attn_weights\": 0",
            "scale_attn_weights is 0, expected true or false"
        ),
        ("layer_idx\": false", "layer_idx\": 1", "scale_attn_by_inverse_layer_idx is 1, expected true or false"),
        ("\"n_ctx\"", "\"add_cross_attention\": true, \"n_ctx\"", "add_cross_attention is true"),
        ("\"vocab_size\": 7", "\"vocab_size\": 8", "has shape [7, 4], expected [8, 4]"),
        ("\"n_layer\": 1", "\"n_layer\": 2", "\"transformer.h.1.ln_1.weight\" is missing"),
        ("\"n_layer\": 1", "\"n_layer\": 9223372036854775807", "number of layers is 9223372036854775807"),
    ])
    func refusesWhatItCannotCompute(old: String, new: String, reason: String) throws {
        try writeConfiguration(old, new)
        try write("model.safetensors", tensors())
        let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
        #expect(error.exitCode == 65)
        #expect(error.description.contains(reason), "\(error)")
    }

    @Test(
        "What older and newer programs leave out or add",
        arguments: [
            ("\"n_inner\": null", "\"n_inner\": 16"), ("\"activation_function\": \"gelu_new\",", ""),
            ("\"scale_attn_weights\": true,", "\"add_cross_attention\": false,"), ("\"n_ctx\": 3,", "\"new\": [{}],"),
        ])
    func readsWhatIsTheSame(old: String, new: String) throws {
        try writeConfiguration(old, new)
        try write("model.safetensors", tensors())
        #expect(try HuggingFaceModelFiles(path: root.path).description == description)
    }

    /// What this program does not read again, but `transformers` and llama.cpp's converter do.
    @Test func configurationForOthers() throws {
        var model = description
        (model.beginTokenID, model.endTokenID) = (5, 6)
        let text = String(decoding: model.configurationJSON(), as: UTF8.self)
        for member in [
            "activation_function\": \"gelu_new", "attn_pdrop\": 0.0,", "embd_pdrop\": 0.0,", "resid_pdrop\": 0.0,",
            "bos_token_id\": 5,", "eos_token_id\": 6,", "dtype\": \"float32", "torch_dtype\": \"float32",
            "initializer_range\": 0.02,", "layer_norm_epsilon\": 1e-05,", "n_ctx\": 3,", "n_positions\": 3,",
            "n_inner\": null,", "scale_attn_weights\": true,", "tie_word_embeddings\": true,", "use_cache\": true,",
        ] { #expect(text.contains("\"" + member), "\(member)") }
        #expect(text.contains("GPT2LMHeadModel"))
        let generation = try JSON(model.generationConfigurationJSON())
        #expect(generation["bos_token_id"]?.int == 5 && generation["eos_token_id"]?.int == 6)
        #expect(try JSON(description.configurationJSON())["eos_token_id"]?.kind == .null)
        #expect(try JSON(description.generationConfigurationJSON())["eos_token_id"] == nil)
        let tokenizer = try JSON(model.tokenizerConfigurationJSON(endOfText: "<e>"))
        for name in ["bos_token", "eos_token", "unk_token"] { #expect(tokenizer[name]?.string == "<e>") }
        #expect(tokenizer["add_prefix_space"]?.bool == false)
    }

    @Test func missingFilesAndWrongNumbers() throws {
        #expect(
            try thrown { try HuggingFaceModelFiles(path: root.path) }.exitCode == 66)
        try writeConfiguration()
        #expect(
            try thrown { try HuggingFaceModelFiles(path: root.path) }.exitCode == 66)
        var all = tensors()
        all[0] = TensorSource(name: all[0].name, shape: [7, 4], floats: [Float](repeating: .infinity, count: 28))
        try write("model.safetensors", all)
        let files = try HuggingFaceModelFiles(path: root.path)
        var values = [Float](repeating: 0, count: 28)
        var span = values.mutableSpan
        let error = try thrown { try files.read("wte.weight", into: &span) }
        #expect(error.description.contains("28 of 28 values"))
    }

    @Test(
        "S7: another lm_head.weight is refused by name, an equal one is not",
        arguments: [
            ([7, 4], Float(0), nil), ([7, 4], 1, "is 1.0 at place 0"), ([7, 4], .nan, "is nan at place 0"),
            ([7, 5], 0, "has shape [7, 5]"), ([28], 0, "has shape [28]"), ([8, 4], 0, "has shape [8, 4]"),
        ] as [([Int], Float, String?)])
    func aTiedHead(shape: [Int], value: Float, problem: String?) throws {
        try writeConfiguration()
        let head = TensorSource(
            name: "lm_head.weight", shape: shape, floats: [Float](repeating: value, count: shape.reduce(1, *)))
        try write("model.safetensors", tensors() + [head])
        guard let problem else { return try expectAllTensors(HuggingFaceModelFiles(path: root.path)) }
        let error = try thrown {
            try expectAllTensors(HuggingFaceModelFiles(path: root.path))
        }
        #expect(error.exitCode == .badInput)
        #expect(error.description.contains("lm_head.weight is not tied") && error.description.contains(problem))
    }

    @Test("S7: one place that differs, in another type") func aHeadOfAnotherType() throws {
        try writeConfiguration()
        for value in [Float(0), 0x1p-14] {
            let head = TensorSource(name: "lm_head.weight", dataType: .f16, shape: [7, 4]) { body in
                var bits = [UInt16](repeating: Float16(0).bitPattern, count: 28)
                bits[27] = Float16(value).bitPattern
                try body(bits.span.bytes)
            }
            try write("model.safetensors", tensors() + [head])
            let files = try HuggingFaceModelFiles(path: root.path)
            if value == 0 {
                try expectAllTensors(files)
            } else {
                _ = try thrown { try expectAllTensors(files) }
            }
        }
    }

    @Test("W1: a Git LFS pointer is named", arguments: ["config.json", "model.safetensors"])
    func aPointer(name: String) throws {
        try writeConfiguration()
        try write("model.safetensors", tensors())
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548105171\n"
        try writeFile(root.path + name, Array(pointer.utf8))
        let error = try thrown { try HuggingFaceModelFiles(path: root.path) }
        #expect(error.exitCode == .badInput)
        #expect(error.description.contains(name) && error.description.contains("git lfs pull"))
    }

    @Test func tokenizerConfigurationNamesTheClass() throws {
        let model = modelDescription(300, 256, 8, 1, 1)
        let object = try JSON(model.tokenizerConfigurationJSON(endOfText: "<|endoftext|>"))
        #expect(object["tokenizer_class"]?.string == "GPT2TokenizerFast")
        #expect(object["model_max_length"]?.int == 256)
        #expect(object["eos_token"]?.string == "<|endoftext|>")
        #expect(try JSON(model.tokenizerConfigurationJSON(endOfText: nil))["eos_token"] == nil)
    }
}
