import Basics
import Foundation
import Kernels
import TestSupport
import Testing

extension EndToEnd {
    /// A Llama from options alone, and what the other commands make of it.
    @Suite(.serialized) struct FamilyTests {
        private static let llama = [
            "--architecture", "llama", "--heads", "4", "--kv-heads", "2", "--steps", "60", "--learning-rate", "0.01",
            "--eval-interval", "20", "--checkpoint-interval", "20",
        ]
        private let workspace: Workspace
        private var checkpoint: String { workspace.checkpoint("run", 60) }

        init() throws {
            workspace = try Workspace()
            let trained = try workspace.train("run", Self.llama, ranks: 2)
            try #require(trained.status == 0, "\(trained)")
            let said = "vocabulary 300, key/value heads 2, silu, gated, no biases, RMSNorm, rotary 10000.0"
            #expect(trained.lines.contains { $0.hasPrefix("model: llama, ") && $0.hasSuffix(said) }, "\(trained)")
        }

        private func evaluate(_ model: String, ranks: Int = 1) throws -> String {
            let outcome = try workspace.run(
                ["evaluate", "--checkpoint", model, "--data", workspace.data + "/val_*.bin"], ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            return outcome.standardOutput
        }

        private func generate(
            _ model: String, _ prompt: String, _ more: [String] = [], tokens: Int = 40
        ) throws -> Subprocess.Outcome {
            let outcome = try workspace.run(
                ["generate", "--checkpoint", model, "--prompt", prompt, "--max-tokens", "\(tokens)"] + more)
            #expect(outcome.status == 0 && outcome.standardOutput.hasPrefix(prompt), "\(outcome)")
            return outcome
        }

        /// Without the prompt and the end of the last line.
        private func continuation(
            _ model: String, _ prompt: String, _ more: [String] = [], tokens: Int = 40
        ) throws -> String {
            String(try generate(model, prompt, more, tokens: tokens).standardOutput.dropFirst(prompt.count).dropLast())
        }

        /// Most of what the model writes are words of its text.
        private func expectWords(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
            let words = Set(Workspace.text.split(whereSeparator: \.isWhitespace))
            let written = text.split(whereSeparator: \.isWhitespace)
            #expect(written.count > 10, sourceLocation: sourceLocation)
            let known = written.count { words.contains($0) }
            #expect(known * 4 > written.count * 3, "\(written)", sourceLocation: sourceLocation)
        }

        @Test func trainedOnRanksAndUsed() throws {
            #expect(try workspace.train("alone", Self.llama).status == 0)
            try RunRecord(workspace, "run", step: 60).expectSame(
                as: RunRecord(workspace, "alone", step: 60), "2 ranks and 1")
            let line = try evaluate(workspace.file("run"))
            let loss = try #require(line.firstMatch(of: #/^loss (\d+\.\d{6})  /#).flatMap { Double($0.1) })
            #expect(loss < 3, "300 tokens at random are 5.70")
            #expect(try evaluate(checkpoint, ranks: 2) == line)

            try expectWords(continuation(workspace.file("run"), "let "))

            let configuration = try String(contentsOfFile: checkpoint + "/config.json", encoding: .utf8)
            for member in ["\"model_type\": \"llama\"", "\"num_key_value_heads\": 2", "\"head_dim\": 8"] {
                #expect(configuration.contains(member), "\(member)")
            }
        }

        @Test("a text ends before the first of the texts to stop at") func stops() throws {
            let model = workspace.file("run")
            let whole = try continuation(model, "let ")
            // Some letters of two words: where tokens end does not matter.
            let start = whole.index(whole.startIndex, offsetBy: 42)
            let stop = String(whole[start..<whole.index(start, offsetBy: 9)])
            let place = try #require(whole.firstRange(of: stop)).lowerBound
            let expected = String(whole[..<place])
            #expect(try continuation(model, "let ", ["--stop", stop]) == expected)
            #expect(try continuation(model, "let ", ["--stop", "nowhere", "--stop", stop]) == expected)
            #expect(try continuation(model, "let ", ["--stop", "nowhere"]) == whole)
            // What the prompt says ends nothing.
            #expect(try continuation(model, "let ", ["--stop", "let"], tokens: 1).isEmpty == false)
            let empty = try workspace.run(["generate", "--checkpoint", model, "--prompt", "let", "--stop", ""])
            #expect(empty.status == 64 && empty.errorLines.count == 1, "\(empty)")
            #expect(empty.standardError.contains("--stop is empty"), "\(empty)")
        }

        /// Of a longer prompt the model sees the end, as if it were all.
        @Test("S10: a prompt longer than the context") func longPrompt() throws {
            let model = workspace.file("run")
            // Bytes that no merge of this text covers: a token each.
            let seen = String(repeating: "#@", count: 16)
            let outcome = try generate(model, String(repeating: "%", count: 20) + seen)
            #expect(outcome.warningLines.count == 1, "\(outcome)")
            let line = outcome.warningLines.first ?? ""
            #expect(
                line.contains("the prompt has 52 tokens, the model's context 32: its first 20 are not seen"),
                "\(outcome)")
            #expect(line.contains("begins with \"#@#@#@#@\""), "\(outcome)")
            let short = try generate(model, seen)
            #expect(short.warningLines.isEmpty)
            #expect(outcome.standardOutput.dropFirst(20) == short.standardOutput)
        }

        @Test(.enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16")) func bf16() throws {
            let model = workspace.file("run")
            let text = try continuation(model, "let ", ["--precision", "bf16"])
            expectWords(text)
            #expect(try continuation(model, "let ", ["--precision", "bf16"]) == text)
            // Draws are the same, and the first one is far from a border.
            let first = try continuation(model, "let ", tokens: 1)
            #expect(!first.isEmpty && text.hasPrefix(first), "\(first), \(text)")
        }

        /// Files are relative links to blobs, as huggingface_hub keeps them.
        @Test func inTheLayoutOfTheHubsCache() throws {
            let files = FileManager.default
            let place = "models--us--small"
            let snapshot = workspace.file(place + "/snapshots/0123456789abcdef0123456789abcdef01234567")
            try files.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
            let names = [
                "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            ]
            for name in names {
                let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: checkpoint + "/" + name)))
                let hash = try SHA256.hash(bytes)
                try workspace.write(place + "/blobs/" + hash, bytes)
                try files.createSymbolicLink(
                    atPath: snapshot + "/" + name, withDestinationPath: "../../blobs/" + hash)
            }
            #expect(try evaluate(snapshot) == evaluate(checkpoint))
            #expect(
                try generate(snapshot, "let ").standardOutput == generate(checkpoint, "let ").standardOutput)
            let inspected = try workspace.run(["inspect", snapshot])
            #expect(inspected.status == 0, "\(inspected)")
            let start = "  llama  layers 2  heads 4  embedding 32  context 32  vocabulary 300  "
            #expect(
                inspected.lines.contains { $0.hasPrefix(start) && $0.contains("  key/value heads 2  ") }, "\(inspected)"
            )

            // A run that learns nothing has the same weights; the shape is the model's.
            let shape = ["--layers", "", "--heads", "", "--embedding-size", "", "--context-length", ""]
            let idle = ["--steps", "1", "--warmup-steps", "0", "--learning-rate", "0", "--init-from", snapshot]
            let next = try workspace.train("next", idle + shape, ranks: 2)
            #expect(next.status == 0, "\(next)")
            #expect(next.lines.contains { $0.hasPrefix("model: llama, ") }, "\(next)")
            for name in names {
                #expect(
                    files.contentsEqual(
                        atPath: workspace.checkpoint("next", 1) + "/" + name, andPath: checkpoint + "/" + name),
                    "\(name)")
            }
            let other = try workspace.train("other", idle + shape + ["--heads", "2"])
            #expect(other.status == 64 && other.errorLines.count == 1, "\(other)")
            #expect(other.standardError.contains("--heads 2 contradicts 4 in "), "\(other)")
        }
    }
}
