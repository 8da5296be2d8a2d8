import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// From a Hugging Face directory and a llm.c shard, against PyTorch's numbers (Tests/Reference/README.md).
    @Suite(.serialized) struct GivenWeightsTests {
        @Test(arguments: [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1)])
        func fiftyStepsAgreeWithPyTorch(ranks: Int, microBatch: Int) throws {
            let workspace = try Workspace()
            // No tokenizer.json beside these tokens, nor in the model directory.
            let outcome = try workspace.run(
                [
                    "train", "--init-from", Golden.path(of: "gpt2-curve"), "--train-data",
                    Golden.path(of: "gpt2-curve-tokens.bin"), "--run-dir", workspace.file("run"), "--no-shuffle",
                    "--micro-batch", "\(microBatch)", "--global-batch", "4", "--steps", "50", "--warmup-steps", "10",
                    "--learning-rate", "3e-3", "--precision", "fp32", "--threads", "1",
                ], ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            let golden = try Golden("gpt2-curve.safetensors")
            let record = try RunRecord(workspace, "run", step: 50)
            let rates = try golden.doubles("learning_rate").dropFirst() + [0]
            for (name, expected) in [
                ("train_loss", try golden.doubles("loss")), ("grad_norm", try golden.doubles("grad_norm")),
                ("lr", Array(rates)),
            ] {
                let actual = try record.texts(name).map { try #require(Double($0 ?? "")) }
                try #require(actual.count == 50)
                // The promise to users is 1e-4; the table of tolerances justifies 1e-5.
                for step in 0..<50 {
                    let difference = (actual[step] - expected[step]).magnitude
                    #expect(difference <= 1e-5 * expected[step].magnitude, "\(name) of step \(step + 1)")
                }
            }
            #expect(record.hashes["tokenizer.json"] == nil)
        }
    }
}
