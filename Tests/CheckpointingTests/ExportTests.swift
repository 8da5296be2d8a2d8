import Basics
import Checkpointing
import Glibc
import TestSupport
import Testing
import Transformer

/// What the formats of an export have in common: the output's place, rounding, and Hugging Face's directory.
@Suite struct ExportTests {
    private let root: TemporaryDirectory
    private var place: FilePath { root.path + "out" }

    init() throws { root = try TemporaryDirectory() }

    private func directory(
        _ model: MemoryModel, _ type: ExportedType = .fp32, shardLimit: Int = ExportOutput.shardLimit
    ) throws {
        try ExportOutput(path: place).writeHuggingFace(
            model, as: type, others: [("README.md", Array("a card".utf8))], shardLimit: shardLimit)
    }

    @Test(arguments: [Architecture.gpt2, .llama, .mistral, .qwen2, .qwen3, .gptNeoX])
    func aDirectoryReadsBack(architecture: Architecture) throws {
        let model = MemoryModel(try smallShape(architecture))
        try directory(model)
        let found = try HuggingFaceModelFiles(path: place)
        var read = found.description
        read.shape.initialization = model.description.shape.initialization
        #expect(read == model.description)
        for (name, values) in try found.allValues() { #expect(values == model.values(name), "\(name)") }
        #expect(try fileNames(in: place) == ["README.md", "config.json", "model.safetensors"])
        #expect(try readFile(place + "README.md") == Array("a card".utf8))
        #expect(try fileNames(in: root.path) == ["out"])
    }

    /// Each file but one that a single tensor fills keeps the limit, and the index leads to all tensors.
    @Test(arguments: [400, 1000, 2000]) func shards(limit: Int) throws {
        let model = MemoryModel(try smallShape(.llama))
        try directory(model, shardLimit: limit)
        let names = try fileNames(in: place).filter { $0.hasSuffix(".safetensors") }
        try #require(names.count > 1)
        for (index, name) in names.enumerated() {
            #expect(name == "model-0000\(index + 1)-of-0000\(names.count).safetensors" || names.count > 9)
            let tensors = try SafetensorsFile(path: place + name).tensors
            #expect(tensors.count == 1 || tensors.reduce(0) { $0 + $1.range.count } <= limit)
        }
        for (name, values) in try HuggingFaceModelFiles(path: place).allValues() {
            #expect(values == model.values(name), "\(name)")
        }
    }

    @Test func theTypeIsInTheConfiguration() throws {
        for (type, name) in [(ExportedType.bf16, "bfloat16"), (.f16, "float16")] {
            try directory(MemoryModel(smallShape(.gpt2)), type)
            let text = String(decoding: try readFile(place + "config.json"), as: UTF8.self)
            #expect(text.contains("\"dtype\": \"\(name)\"") && text.contains("\"torch_dtype\": \"\(name)\""))
            #expect(!text.contains("float32"))
            TemporaryDirectory.remove(place)
        }
    }

    /// To the nearest, to even where two are as near, subnormal numbers too; expected bits are PyTorch's.
    @Test(
        arguments: [
            (1, 0x3F80, 0x3C00), (-2.5, 0xC020, 0xC100), (0x1.01p0, 0x3F80, 0x3C04), (0x1.03p0, 0x3F82, 0x3C0C),
            (0x1.010002p0, 0x3F81, 0x3C04), (0x1.002p0, 0x3F80, 0x3C00), (0x1.006p0, 0x3F80, 0x3C02),
            (65519, 0x4780, 0x7BFF), (1e-7, 0x33D7, 0x0002), (0x1p-149, 0x0000, 0x0000),
            (0x1.8p-133, 0x0002, 0x0000),
            (-0.0, 0x8000, 0x8000),
        ] as [(Float, Int, Int)])
    func rounding(value: Float, bf16: Int, f16: Int) throws {
        var model = MemoryModel(try smallShape(.gpt2))
        let name = "transformer.wte.weight"
        model.changes[name] = (3, value)
        for (type, bits) in [(ExportedType.bf16, bf16), (.f16, f16)] {
            try directory(model, type)
            let file = try SafetensorsFile(path: place + "model.safetensors")
            let tensor = try #require(file.tensor(name))
            #expect(tensor.dataType == type.dataType)
            var stored = [UInt16](repeating: 0, count: tensor.elementCount)
            var span = stored.mutableSpan
            var raw = span.mutableBytes
            try file.read(tensor, into: &raw)
            #expect(Int(stored[3]) == bits, "\(value) as \(type)")
            TemporaryDirectory.remove(place)
        }
    }

    @Test("what a type cannot hold is refused by its tensor, and leaves nothing")
    func overflow() throws {
        for (type, value, limit) in [
            (ExportedType.f16, Float(65520), Float(65519)), (.bf16, 0x1.ff0000p127, 0x1.fefffep127),
        ] {
            var model = MemoryModel(try smallShape(.gpt2))
            let name = "transformer.h.1.mlp.c_fc.weight"
            model.changes[name] = (5, -value)
            let error = try thrown { try directory(model, type) }
            #expect(error.exitCode == .badInput && error.description.contains(name))
            #expect(error.description.contains("place 5") && error.description.contains("--dtype"))
            #expect(try fileNames(in: root.path).isEmpty)
            model.changes[name] = (5, -limit)
            try directory(model, type)
            TemporaryDirectory.remove(place)
        }
    }

    @Test("nothing that is there is replaced") func taken() throws {
        let model = MemoryModel(try smallShape(.gpt2))
        try LocalFileSystem().makeDirectory(root.path + "folder")
        try writeFile(root.path + "file", [1])
        try #require(symlink("nowhere", (root.path + "link").string) == 0)
        for name in ["folder", "file", "link", "folder/.", "folder/.."] {
            let error = try thrown { try ExportOutput(path: root.path + name) }
            #expect(error.exitCode == .cannotCreate && error.description.contains("--output"), "\(name)")
        }
        // It can appear while the weights are written.
        let output = try ExportOutput(path: place)
        try writeFile(place, [2])
        #expect(try thrown { try output.writeLlmc(model, as: .fp32) }.exitCode == .cannotCreate)
        #expect(try readFile(place) == [2])
        #expect(try fileNames(in: root.path) == ["file", "folder", "link", "out"])
        let deep = try ExportOutput(path: root.path + "none/out")
        #expect(try thrown { try deep.writeLlmc(model, as: .fp32) }.exitCode == .cannotCreate)
    }

    @Test("an export that a kill cut off gives way to the next") func leftovers() throws {
        let model = MemoryModel(try smallShape(.gpt2))
        try LocalFileSystem().makeDirectory(root.path + ".out.partial")
        try writeFile(root.path + ".out.partial/model.safetensors", [1])
        try directory(model)
        #expect(try fileNames(in: root.path) == ["out"])
        TemporaryDirectory.remove(place)
        try writeFile(root.path + ".out.partial", [1])
        try ExportOutput(path: place).writeLlmc(model, as: .fp32)
        #expect(try fileNames(in: root.path) == ["out"])
    }

    @Test("whichever operation fails, there is the whole output or none", arguments: [true, false])
    func faults(isDirectory: Bool) throws {
        let model = MemoryModel(try smallShape(.gpt2))
        func export(_ files: FaultyFileSystem) throws {
            let output = try ExportOutput(path: place, fileSystem: files)
            if isDirectory {
                try output.writeHuggingFace(model, as: .fp32, others: [])
            } else {
                try output.writeLlmc(model, as: .fp32)
            }
        }
        let counting = FaultyFileSystem()
        try export(counting)
        TemporaryDirectory.remove(place)
        try #require(counting.count > 4)
        for step in 0..<counting.count {
            do { try export(FaultyFileSystem(.error(EIO), at: step)) } catch {}
            if LocalFileSystem().exists(place) {
                let found = try SavedModel(place).files.allValues()
                #expect(found.allSatisfy { model.values($0) == $1 }, "step \(step)")
                TemporaryDirectory.remove(place)
            }
        }
    }

    @Test func theModernArchitectureIsRefused() throws {
        let model = MemoryModel(try smallShape(.modern))
        let error = try thrown { try directory(model) }
        #expect(error.exitCode == .badInput && error.description.contains("modern"))
        #expect(try thrown { try GGUFModel(model) }.exitCode == .badInput)
        #expect(try thrown { try ExportOutput(path: place).writeLlmc(model, as: .fp32) }.exitCode == .badInput)
        #expect(try fileNames(in: root.path).isEmpty)
    }
}
