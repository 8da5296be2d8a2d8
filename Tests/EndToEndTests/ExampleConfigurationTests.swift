import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Each file of configs/ is read, is what it says, and trains a tiny model.
    @Suite(.serialized) struct ExampleConfigurationTests {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        static let names = ((try? FileManager.default.contentsOfDirectory(atPath: root + "/configs")) ?? []).sorted()

        private static func text(_ name: String) throws -> String {
            try String(contentsOfFile: root + "/" + name, encoding: .utf8)
        }

        /// Lines of `--print-config`, without the blanks between their words.
        private func printed(_ workspace: Workspace, _ name: String, _ more: [String] = []) throws -> [String] {
            let file = Self.root + "/configs/" + name
            let outcome = try workspace.run(["train", "--config", file] + more + ["--print-config"])
            #expect(outcome.status == 0 && outcome.standardError.isEmpty, "\(outcome)")
            return outcome.lines.map { $0.split(separator: " ").prefix { $0 != "#" }.joined(separator: " ") }
        }

        @Test func theyAreThere() {
            #expect(
                Self.names == [
                    "demo.yaml", "finetune.yaml", "gpt2-124m.yaml", "modern.yaml", "shakespeare-char.yaml",
                    "smollm2-135m.yaml",
                ])
        }

        @Test(arguments: names) func isReadAndTrains(name: String) throws {
            let workspace = try Workspace()
            let text = try Self.text("configs/" + name)
            let figures = ["Reached on", "Reached with", "Measured on", "Not run here"]
            #expect(figures.contains { text.contains($0) }, "\(name) says no figure")
            #expect(
                text.contains("\n#     ") && text.contains("train --config configs/" + name) || text.contains("make "))
            let places = ["--train-data", "data/train_*.bin", "--val-data", "data/val_*.bin"]
            var shape = [
                "--layers", "1", "--heads", "2", "--embedding-size", "32", "--context-length", "16", "--vocab-size",
                "300",
            ]
            if name == "smollm2-135m.yaml" { shape += ["--kv-heads", "1", "--inner-size", "64"] }
            let steps = [
                "--micro-batch", "2", "--global-batch", "4", "--steps", "2", "--warmup-steps", "1", "--threads", "1",
                "--log-interval", "1", "--precision", "fp32", "--keep", "1",
            ]
            if name == "finetune.yaml" {
                let outcome = try workspace.train("given", ["--steps", "2", "--warmup-steps", "0"])
                #expect(outcome.status == 0, "\(outcome)")
                shape = ["--init-from", "given/checkpoints/step-00000002"]
            }
            let options = places + shape + steps
            _ = try printed(workspace, name, name == "finetune.yaml" ? options : [])
            // As it stands, the run directory is one of its own.
            #expect(!FileManager.default.fileExists(atPath: workspace.file("runs")))
            let file = Self.root + "/configs/" + name
            let outcome = try workspace.run(["train", "--config", file] + options)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardOutput.contains("checkpoint saved step-00000002"), "\(outcome)")
            #expect(!outcome.standardOutput.contains("no effect"), "\(outcome)")
        }

        /// `make train` has the same numbers at the top of the Makefile.
        @Test func theDemoIsThatOfTheMakefile() throws {
            let lines = try printed(Workspace(), "demo.yaml")
            let makefile = try Self.text("Makefile")
            for (variable, option) in [
                ("LAYERS", "layers"), ("HEADS", "heads"), ("WIDTH", "embedding-size"), ("CONTEXT", "context-length"),
                ("MICRO_BATCH", "micro-batch"), ("GLOBAL_BATCH", "global-batch"), ("STEPS", "steps"),
                ("WARMUP", "warmup-steps"), ("INTERVAL", "eval-interval"), ("INTERVAL", "checkpoint-interval"),
            ] {
                let value = try #require(
                    makefile.firstMatch(of: try Regex("\n\(variable) \\?= (\\S+)\n"))?[1].substring)
                #expect(lines.contains("\(option): \(value)"), "\(option)")
            }
            #expect(makefile.contains("\nLEARNING_RATE ?= 1e-3\n") && lines.contains("learning-rate: 0.001"))
        }

        /// What nanoGPT's README gives for a CPU, and what GPT-2 and SmolLM2 are.
        @Test func theyAreWhatTheySay() throws {
            let workspace = try Workspace()
            for (name, expected) in [
                (
                    "shakespeare-char.yaml",
                    [
                        "layers: 4", "heads: 4", "embedding-size: 128", "context-length: 64", "global-batch: 12",
                        "steps: 2000",
                    ]
                ),
                (
                    "gpt2-124m.yaml",
                    [
                        "layers: 12", "heads: 12", "embedding-size: 768", "context-length: 1024", "vocab-size: 50257",
                        "global-batch: 512", "learning-rate: 0.0006", "min-learning-rate: 6e-05", "warmup-steps: 715",
                        "steps: 19073",
                    ]
                ),
                (
                    "smollm2-135m.yaml",
                    [
                        "architecture: llama", "layers: 30", "heads: 9", "kv-heads: 3", "embedding-size: 576",
                        "inner-size: 1536", "vocab-size: 49152", "rope-theta: 100000.0", "context-length: 2048",
                    ]
                ),
                ("modern.yaml", ["recipe: modern", "architecture: modern", "optimizer: muon"]),
            ] {
                let lines = try printed(workspace, name)
                for line in expected { #expect(lines.contains(line), "\(name): \(line)") }
            }
        }
    }
}
