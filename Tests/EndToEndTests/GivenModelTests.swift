import Basics
import Checkpointing
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Models that people bring: with more context than they need, or with a tokenizer that is not read.
    @Suite(.serialized) struct GivenModelTests {
        private static let idle = ["--steps", "1", "--warmup-steps", "0", "--learning-rate", "0"]
        private static let noShape = ["--layers", "", "--heads", "", "--embedding-size", ""]

        private func loss(_ workspace: Workspace, _ model: String, _ more: [String] = []) throws -> Substring {
            let data = workspace.data + "/val_*.bin"
            let outcome = try workspace.run(["evaluate", "--checkpoint", model, "--data", data] + more)
            #expect(outcome.status == 0, "\(outcome)")
            return try #require(outcome.standardOutput.split(separator: "  ").first)
        }

        @Test(
            "a run with a shorter context has the model's weights, of learned positions the first", arguments: [1, 2])
        func shorterContext(ranks: Int) throws {
            for architecture in ["gpt2", "llama"] {
                let workspace = try Workspace()
                let trained = try workspace.train("run", ["--architecture", architecture, "--steps", "5"])
                #expect(trained.status == 0, "\(trained)")
                let given = workspace.checkpoint("run", 5)
                let options = ["--init-from", given, "--context-length", "16"] + Self.idle + Self.noShape
                let shorter = try workspace.train("shorter", options, ranks: ranks)
                #expect(shorter.status == 0, "\(shorter)")
                let made = workspace.checkpoint("shorter", 1)
                let (whole, cut) = (
                    try HuggingFaceModelFiles(path: FilePath(given)), try HuggingFaceModelFiles(path: FilePath(made))
                )
                #expect(cut.description.shape.contextLength == 16)
                for (tensor, all) in zip(cut.description.tensors, whole.description.tensors) {
                    let values = try cut.values(of: tensor)
                    #expect(try values.elementsEqual(whole.values(of: all).prefix(values.count)), "\(tensor.name)")
                }
                #expect(try loss(workspace, made) == loss(workspace, given, ["--context-length", "16"]))
                let prompt = ["--prompt", "let var", "--temperature", "0", "--max-tokens", "30"]
                let texts = try [[given, "--context-length", "16"], [made]].map {
                    try workspace.run(["generate", "--checkpoint"] + $0 + prompt).standardOutput
                }
                #expect(texts[0] == texts[1] && texts[0].count > 20)
                for command in ["evaluate", "generate"] {
                    let rest = command == "evaluate" ? ["--data", workspace.data + "/val_*.bin"] : prompt
                    let longer = try workspace.run([command, "--checkpoint", given, "--context-length", "33"] + rest)
                    #expect(longer.status == 64 && longer.standardError.contains("33, the model's context 32"))
                }
            }
        }

        @Test("a tokenizer that is not read stays what it is, and stops only what needs text")
        func tokenizerThatIsNotRead() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--steps", "5", "--architecture", "llama"]).status == 0)
            let model = workspace.file("model")
            try FileManager.default.copyItem(atPath: workspace.checkpoint("run", 5), toPath: model)
            for name in ["manifest.json", "trainer_state.json", "optimizer.safetensors", "generation_config.json"] {
                try FileManager.default.removeItem(atPath: model + "/" + name)
            }
            let path = model + "/tokenizer.json"
            let known = try String(contentsOfFile: path, encoding: .utf8)
            let other = known.replacing("\"normalizer\": null", with: "\"normalizer\": {\"type\": \"NFC\"}")
            #expect(other != known)
            try Data(other.utf8).write(to: URL(fileURLWithPath: path))
            try Data("{\"tokenizer_class\": \"Own\"}\n".utf8).write(
                to: URL(fileURLWithPath: model + "/tokenizer_config.json"))
            // As data from elsewhere has it.
            try FileManager.default.removeItem(atPath: workspace.data + "/tokenizer.json")

            let trained = try workspace.train("next", ["--init-from", model] + Self.idle + Self.noShape, ranks: 2)
            #expect(trained.status == 0, "\(trained)")
            #expect(trained.standardOutput.contains("the tokenizer of the model is not read here"), "\(trained)")
            let checkpoint = workspace.checkpoint("next", 1)
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                let (kept, given) = (checkpoint + "/" + name, model + "/" + name)
                #expect(FileManager.default.contentsEqual(atPath: kept, andPath: given), "\(name)")
            }
            #expect(try loss(workspace, checkpoint) == loss(workspace, workspace.checkpoint("run", 5)))
            let text = try workspace.run(["generate", "--checkpoint", checkpoint, "--prompt", "let"])
            #expect(text.status == 65 && text.standardError.contains("NFC"), "\(text)")
            let export = ["export", "--checkpoint", checkpoint, "--output"]
            let written = try workspace.run(export + ["hf", "--format", "huggingface"])
            #expect(written.status == 0 && written.warningLines.count == 1, "\(written)")
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                let (kept, given) = (workspace.file("hf/" + name), model + "/" + name)
                #expect(FileManager.default.contentsEqual(atPath: kept, andPath: given), "\(name)")
            }
            // A resume has the same one.
            let resumed = try workspace.train(
                "next",
                Self.noShape + ["--steps", "2", "--extend-schedule", "--warmup-steps", "", "--learning-rate", ""])
            #expect(resumed.status == 0, "\(resumed)")
            #expect(
                FileManager.default.contentsEqual(
                    atPath: workspace.checkpoint("next", 2) + "/tokenizer_config.json",
                    andPath: model + "/tokenizer_config.json"))
        }
    }
}
