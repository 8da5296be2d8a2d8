import Basics
import Checkpointing
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `export` of a trained model, and the commands on what it wrote.
    @Suite(.serialized) struct ExportTests {
        private let workspace: Workspace
        private var checkpoint: String { workspace.checkpoint("run", 2) }

        init() throws {
            workspace = try Workspace()
            let trained = try workspace.train("run", ["--steps", "2", "--warmup-steps", "0", "--eval-interval", "1"])
            try #require(trained.status == 0, "\(trained)")
        }

        private func export(_ output: String, _ more: [String], from source: String? = nil) throws -> Subprocess.Outcome
        {
            try workspace.run(
                ["export", "--checkpoint", source ?? workspace.file("run"), "--output", workspace.file(output)] + more)
        }

        private func loss(_ model: String) throws -> String {
            let outcome = try workspace.run([
                "evaluate", "--checkpoint", model, "--data", workspace.data + "/val_*.bin",
            ])
            #expect(outcome.status == 0, "\(outcome)")
            return outcome.standardOutput
        }

        private func bytes(_ path: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        }

        @Test("a model directory with a card; its weights are the checkpoint's, bit by bit") func huggingFace() throws {
            let outcome = try export("hf", ["--format", "huggingface"])
            #expect(outcome.status == 0 && outcome.errorLines.isEmpty && outcome.lines.count == 1, "\(outcome)")
            let place = workspace.file("hf")
            for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
                #expect(try bytes(place + "/" + name) == bytes(checkpoint + "/" + name), "\(name)")
            }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: place).sorted() == [
                    "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                    "tokenizer_config.json",
                ])
            #expect(try loss(place) == loss(checkpoint))

            let card = try String(contentsOfFile: place + "/README.md", encoding: .utf8)
            let record = try RunRecord(workspace, "run", step: 2)
            let trainLoss = try #require(record.texts("train_loss").last ?? nil)
            let lastLoss = try #require(record.texts("val_loss").last ?? nil)
            for words in [
                "---\nlibrary_name: transformers\n", "| steps | 2 of 2 |", "| tokens seen | 512 |", "36096 parameters",
                "| train, last step | \(trainLoss) |", "| validation, last | \(lastLoss) |",
                "swiftlet train \\\n    --architecture gpt2 \\\n    --layers 2 \\\n", "    --learning-rate 0.001 \\\n",
                "AutoModelForCausalLM",
            ] { #expect(card.contains(words), "\(words)") }
            #expect(!card.contains(workspace.path))

            // From the directory itself: the same without what only a checkpoint knows.
            #expect(try export("again", ["--format", "huggingface"], from: place).status == 0)
            let again = workspace.file("again")
            #expect(try bytes(again + "/model.safetensors") == bytes(place + "/model.safetensors"))
            #expect(try !String(contentsOfFile: again + "/README.md", encoding: .utf8).contains("## Training"))
        }

        @Test("llm.c's file gives the loss of the checkpoint, and the next run its weights") func llmc() throws {
            #expect(try export("model.bin", ["--format", "llm.c"]).status == 0)
            let model = workspace.file("model.bin")
            #expect(try loss(model) == loss(checkpoint))
            let back = try export("back", ["--format", "huggingface"], from: model)
            #expect(back.status == 0 && back.warningLines.count == 1, "\(back)")
            #expect(
                try bytes(workspace.file("back") + "/model.safetensors") == bytes(checkpoint + "/model.safetensors"))

            let generated = try workspace.run(["generate", "--checkpoint", model, "--prompt", "let"])
            #expect(generated.status == 66 && generated.errorLines.count == 1, "\(generated)")
            #expect(generated.standardError.contains("holds no tokenizer"))

            let idle = ["--steps", "1", "--warmup-steps", "0", "--learning-rate", "0", "--init-from", model]
            // The shape is the file's.
            let shape = ["--layers", "", "--heads", "", "--embedding-size", "", "--context-length", ""]
            let started = try workspace.train("next", idle + shape)
            #expect(started.status == 0, "\(started)")
            let next = workspace.checkpoint("next", 1) + "/model.safetensors"
            #expect(try bytes(next) == bytes(checkpoint + "/model.safetensors"))
        }

        @Test(arguments: ["fp32", "bf16", "f16"]) func gguf(type: String) throws {
            let outcome = try export("small.gguf", ["--format", "gguf", "--dtype", type])
            #expect(outcome.status == 0 && outcome.warningLines.isEmpty, "\(outcome)")
            let found = try bytes(workspace.file("small.gguf"))
            #expect(found.starts(with: Array("GGUF".utf8) + [3, 0, 0, 0]))
            #expect(found.count % 32 == 0)
            // A string has its length in 64 bits before it.
            func contains(_ text: String) -> Bool {
                found.firstRange(of: littleEndian(text.utf8.count, 8) + Array(text.utf8)) != nil
            }
            for text in [
                "general.name", "small", "gpt2.block_count", "tokenizer.ggml.pre", "gpt-2", "<|endoftext|>", "Ġ",
                "token_embd.weight", "blk.1.ffn_down.bias",
            ] { #expect(contains(text), "\(text)") }
            #expect(!contains("output.weight"))
            // The kinds of the 300 tokens: an array of int32s of that length. The first one is `<|endoftext|>`, which is
            // never printed, and all others are plain.
            let kinds = littleEndian(5, 4) + littleEndian(300, 8) + littleEndian(3, 4)
            let plain = (1..<300).flatMap { _ in littleEndian(1, 4) }
            let name = Array("tokenizer.ggml.token_type".utf8) + littleEndian(9, 4)
            #expect(found.firstRange(of: name + kinds + plain) != nil)
        }

        @Test("one line, the code, and nothing written") func mistakes() throws {
            try workspace.write("taken", [])
            let shard = try #require(
                FileManager.default.contentsOfDirectory(atPath: workspace.data).first { $0.hasPrefix("train_") })
            #expect(try export("whole.bin", ["--format", "llm.c"]).status == 0)
            try workspace.write("cut.bin", bytes(workspace.file("whole.bin")).dropLast())
            for (output, options, source, code, words) in [
                ("new", [], nil, 64, "--format is missing"), ("new", ["--format", "onnx"], nil, 64, "'onnx'"),
                ("new", ["--format", "gguf", "--dtype", "q4"], nil, 64, "'q4'"),
                ("new", ["--format", "llm.c", "--dtype", "f16"], nil, 64, "f16"),
                ("taken", ["--format", "gguf"], nil, 73, "is there already"),
                ("none/new", ["--format", "gguf"], nil, 73, "none"),
                ("new", ["--format", "gguf"], "nowhere", 66, "nowhere"),
                ("new", ["--format", "gguf"], workspace.data + "/" + shard, 65, "token shard"),
                ("new", ["--format", "gguf"], workspace.file("cut.bin"), 65, "cut short"),
            ] as [(String, [String], String?, Int32, String)] {
                let outcome = try export(output, options, from: source)
                #expect(outcome.status == code && outcome.errorLines.count == 1, "\(outcome)")
                #expect(outcome.standardError.contains(words), "\(outcome)")
                #expect(!FileManager.default.fileExists(atPath: workspace.file("new")))
            }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: workspace.path).sorted() == [
                    "cut.bin", "data", "run", "taken", "whole.bin",
                ])
        }
    }
}
