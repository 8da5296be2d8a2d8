import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What inspect and a model card tell of a run with Muon.
    @Suite(.serialized) struct MuonCardTests {
        @Test func muonsFacts() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train(
                "run",
                [
                    "--steps", "2", "--optimizer", "muon", "--muon-learning-rate", "0.03", "--muon-momentum", "0.8",
                    "--muon-weight-decay", "0.02", "--muon-precision", "fp32", "--schedule", "wsd", "--decay-steps",
                    "1",
                    "--decay-shape", "linear", "--warmup-steps", "1",
                ])
            #expect(outcome.status == 0, "\(outcome)")
            let checkpoint = workspace.checkpoint("run", 2)
            let place = workspace.file("hf")
            let export = try workspace.run([
                "export", "--checkpoint", checkpoint, "--format", "huggingface", "--output", place,
            ])
            #expect(export.status == 0, "\(export)")
            let card = try String(contentsOfFile: place + "/README.md", encoding: .utf8)
            for words in [
                "| learning rate | 0.001, wsd in a straight line to 0.0, warm-up 1 |",
                "| Muon | the blocks' matrices: learning rate 0.03 on the same curve, momentum 0.8, weight decay 0.02, "
                    + "5 Newton–Schulz iterations in fp32 |",
                "    --decay-steps 1 \\\n    --decay-shape linear \\\n", "    --muon-learning-rate 0.03 \\\n",
            ] { #expect(card.contains(words), "\(words) in \(card)") }
            let inspected = try workspace.run(["inspect", checkpoint])
            #expect(inspected.lines.contains { $0.hasSuffix("steps 2  decay 1 in a straight line") }, "\(inspected)")

            #expect(try workspace.train("plain", ["--steps", "1"]).status == 0)
            let plain = workspace.file("plain-hf")
            let second = try workspace.run(
                [
                    "export", "--checkpoint", workspace.checkpoint("plain", 1), "--format", "huggingface", "--output",
                    plain,
                ])
            #expect(second.status == 0, "\(second)")
            let text = try String(contentsOfFile: plain + "/README.md", encoding: .utf8)
            #expect(!text.contains("Muon") && !text.contains("--decay-") && !text.contains("straight"), "\(text)")
        }
    }
}
