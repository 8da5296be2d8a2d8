import Basics
import Checkpointing
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `generate` on a model whose logits are known: its last norm gives the first unit vector whatever came before, so
    /// the logit of token v is the first number of v's embedding.
    @Suite(.serialized) struct GenerateTests {
        /// A model directory of this kind; tokens that are not named have the logit 0.
        private func model(_ workspace: Workspace, _ logits: [Int: Float], vocabularySize: Int = 300) throws -> String {
            let trained = try workspace.train(
                "run",
                [
                    "--steps", "1", "--warmup-steps", "0", "--learning-rate", "0", "--vocab-size", "\(vocabularySize)",
                ])
            #expect(trained.status == 0, "\(trained)")
            let directory = workspace.file("model")
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let checkpoint = workspace.checkpoint("run", 1)
            for name in ["config.json", "tokenizer.json", "model.safetensors"] {
                try FileManager.default.copyItem(atPath: checkpoint + "/" + name, toPath: directory + "/" + name)
            }
            let path = directory + "/model.safetensors"
            let file = try SafetensorsFile(path: FilePath(path))
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            func set(_ name: String, _ value: (Int) -> Float) throws {
                let tensor = try #require(file.tensor("transformer." + name))
                // The tensors' bytes are the end of the file.
                let start = file.fileSize - (file.tensors.map(\.range.upperBound).max() ?? 0) + tensor.range.lowerBound
                for index in 0..<tensor.elementCount {
                    let bits = value(index).bitPattern
                    for byte in 0..<4 {
                        bytes[start + 4 * index + byte] = UInt8(truncatingIfNeeded: bits >> (8 * UInt32(byte)))
                    }
                }
            }
            try set("ln_f.weight") { _ in 0 }
            try set("ln_f.bias") { $0 == 0 ? 1 : 0 }
            try set("wte.weight") { $0 % 32 == 0 ? logits[$0 / 32] ?? 0 : 0.01 }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            return directory
        }

        /// The ids of single letters: the 256 bytes stand behind `<|endoftext|>`, printable ones first.
        private func id(_ letter: Character) -> Int { Int(letter.asciiValue ?? 0) - 0x21 + 1 }

        private func generate(_ workspace: Workspace, _ model: String, _ more: [String]) throws -> String {
            let outcome = try workspace.run(["generate", "--checkpoint", model, "--prompt", "ab"] + more)
            #expect(outcome.status == 0, "\(outcome)")
            return outcome.standardOutput
        }

        @Test("M: a text ends where the model ends it, and otherwise after --max-tokens")
        func endOfText() throws {
            let workspace = try Workspace()
            let ends = try model(workspace, [0: 60, id("x"): 30])
            #expect(try generate(workspace, ends, ["--max-tokens", "20"]) == "ab\n")
            try FileManager.default.removeItem(atPath: ends)
            try FileManager.default.removeItem(atPath: workspace.file("run"))
            let goesOn = try model(workspace, [0: 30, id("x"): 60])
            for count in [0, 1, 20, 90] {
                let text = try generate(workspace, goesOn, ["--max-tokens", "\(count)"])
                #expect(text == "ab" + String(repeating: "x", count: count) + "\n")
            }
        }

        @Test("a text ends before a text to stop at, and keeps what only began like one") func stopTexts() throws {
            let workspace = try Workspace()
            let goesOn = try model(workspace, [0: 30, id("x"): 60])
            for (stops, expected) in [
                (["xxx"], "ab"), (["y", "xxxxx"], "abxxx"), (["xy"], "abxxx"), (["xxxx", "xx"], "ab"),
                (["ab"], "abxxx"),
            ] {
                let options = ["--max-tokens", "3"] + stops.flatMap { ["--stop", $0] }
                #expect(try generate(workspace, goesOn, options) == expected + "\n", "\(stops)")
            }
            let empty = try workspace.run(["generate", "--checkpoint", goesOn, "--prompt", "ab", "--stop", ""])
            #expect(empty.status == 64 && empty.standardError.contains("--stop is empty"), "\(empty)")
        }

        @Test("S8: the end of a text is what config.json says, and a run from there keeps it")
        func endOfTextOfTheModel() throws {
            let workspace = try Workspace()
            let directory = try model(workspace, [0: 30, id("x"): 60])
            let path = directory + "/config.json"
            let text = try String(contentsOfFile: path, encoding: .utf8)
                .replacing("\"eos_token_id\": 0", with: "\"eos_token_id\": \(id("x"))")
                .replacing("\"bos_token_id\": 0", with: "\"bos_token_id\": \(id("y"))")
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            #expect(try generate(workspace, directory, ["--max-tokens", "20"]) == "ab\n")

            let train = ["--init-from", directory, "--steps", "4", "--warmup-steps", "0"]
            #expect(try workspace.train("second", train + ["--stop-after", "2"]).status == 75)
            // The resume has the checkpoint alone.
            try FileManager.default.removeItem(atPath: directory)
            let resumed = try workspace.train("second", ["--steps", "4", "--warmup-steps", "0"])
            #expect(resumed.status == 0, "\(resumed)")
            for step in [2, 4] {
                for name in ["config.json", "generation_config.json"] {
                    let file = workspace.checkpoint("second", step) + "/" + name
                    let text = try String(contentsOfFile: file, encoding: .utf8)
                    #expect(
                        text.contains("\"eos_token_id\": \(id("x"))") && text.contains("\"bos_token_id\": \(id("y"))"))
                }
                let names = try String(
                    contentsOfFile: workspace.checkpoint("second", step) + "/tokenizer_config.json", encoding: .utf8)
                // Named there, `x` would become an added token, and texts other ids.
                #expect(!names.contains("eos_token"))
            }
        }

        @Test("S8: an init directory with vocab.json and merges.txt gives checkpoints with the tokenizer")
        func twoFiles() throws {
            let workspace = try Workspace()
            let directory = try model(workspace, [:])
            let json = try JSON(Array(Data(contentsOf: URL(fileURLWithPath: directory + "/tokenizer.json"))))
            let vocabulary = try #require(json["model"]?["vocab"])
            let merges = try #require(json["model"]?["merges"]?.elements)
            let lines = merges.map { pair in
                pair.elements?.compactMap(\.string).joined(separator: " ") ?? pair.string ?? ""
            }
            try workspace.write(
                "model/vocab.json",
                JSONText.object(
                    (vocabulary.members ?? []).map {
                        (String(decoding: $0.name, as: UTF8.self), .number($0.value.int ?? 0))
                    }
                ).text.utf8)
            try workspace.write("model/merges.txt", ("#version: 0.2\n" + lines.joined(separator: "\n") + "\n").utf8)
            try FileManager.default.removeItem(atPath: directory + "/tokenizer.json")
            // The shards have no tokenizer beside them.
            for name in try FileManager.default.contentsOfDirectory(atPath: workspace.data) where name.hasSuffix(".bin")
            {
                try workspace.write("bare/" + name, Data(contentsOf: URL(fileURLWithPath: workspace.data + "/" + name)))
            }
            let bare = ["--train-data", workspace.file("bare/train_*.bin"), "--val-data", ""]
            let trained = try workspace.train(
                "second", ["--init-from", directory, "--steps", "2", "--warmup-steps", "0"] + bare)
            #expect(trained.status == 0, "\(trained)")
            #expect(try generate(workspace, workspace.file("second"), ["--max-tokens", "2"]).hasPrefix("ab"))
            // S15: later checkpoints have it too.
            #expect(
                try workspace.train("second", ["--steps", "4", "--extend-schedule", "--warmup-steps", "0"] + bare)
                    .status == 0)
            #expect(FileManager.default.fileExists(atPath: workspace.checkpoint("second", 4) + "/tokenizer.json"))
        }

        /// Hot enough that all kept tokens are about equally likely.
        @Test("M: --top-k, --temperature and --seed do what they say")
        func sampling() throws {
            let workspace = try Workspace()
            let directory = try model(workspace, [0: -1e6, id("x"): 9, id("y"): 8, id("z"): 7])
            func letters(_ options: [String]) throws -> Set<Character> {
                Set(try generate(workspace, directory, ["--max-tokens", "60"] + options).dropFirst(2).dropLast())
            }
            #expect(try letters(["--temperature", "1000", "--top-k", "1"]) == ["x"])
            #expect(try letters(["--temperature", "1000", "--top-k", "2"]) == ["x", "y"])
            #expect(try letters(["--temperature", "1000", "--top-k", "3"]) == ["x", "y", "z"])
            #expect(try letters(["--temperature", "1000", "--top-k", "0"]).count > 10)
            #expect(try letters(["--temperature", "0", "--top-k", "0"]) == ["x"])
            #expect(try letters(["--temperature", "0.01", "--top-k", "0"]) == ["x"])
            // Of 300 logits of 0 and three of 7 to 9, the default takes 50: it is no longer all of them.
            let texts = try (1...3).map {
                try generate(workspace, directory, ["--temperature", "1000", "--top-k", "3", "--seed", "\($0)"])
            }
            #expect(Set(texts).count == 3)
            #expect(texts[0] == (try generate(workspace, directory, ["--temperature", "1000", "--top-k", "3"])))
            #expect(texts[0].count == 2 + 200 + 1, "--max-tokens is 200 unless given")
        }

        /// A model may have more rows than its tokenizer has tokens: those have no text, however likely they are.
        @Test("M: ids that the tokenizer does not know are never drawn")
        func idsWithoutText() throws {
            let workspace = try Workspace()
            let padded = try model(workspace, [310: 90, 319: 80, id("x"): 30], vocabularySize: 320)
            let options = ["--max-tokens", "20", "--temperature", "1", "--top-k", "1"]
            #expect(try generate(workspace, padded, options) == "ab" + String(repeating: "x", count: 20) + "\n")
        }
    }
}
