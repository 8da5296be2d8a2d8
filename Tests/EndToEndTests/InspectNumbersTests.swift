import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Every number that `inspect` prints, against what the run was told and what stands in its files.
    @Suite(.serialized) struct InspectNumbersTests {
        private func lines(_ workspace: Workspace, _ path: String, _ more: [String] = []) throws -> [String] {
            let outcome = try workspace.run(["inspect", path] + more)
            #expect(outcome.status == 0, "\(outcome)")
            return outcome.lines.map(String.init)
        }

        private func size(_ path: String) throws -> Int {
            try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        }

        @Test func aCheckpointAndItsFiles() throws {
            let workspace = try Workspace()
            let options = ["--schedule", "wsd", "--decay-steps", "3", "--min-learning-rate", "0.0001", "--keep", "2"]
            #expect(try workspace.train("run", options + ["--stop-after", "17"]).status == 75)
            let checkpoint = workspace.checkpoint("run", 17)
            let record = try RunRecord(workspace, "run", step: 17)
            let losses = record.texts("val_loss").compactMap { $0 }
            let rate = try #require(record.texts("lr").last ?? nil)
            let best = losses.min() ?? ""
            let bestStep = 5 * (1 + (losses.firstIndex(of: best) ?? 9))
            let state = [
                "  step 17 / 20  epoch \(try #require(record.texts("epoch").last ?? nil))  sequences 136  tokens 4352",
                "  learning rate \(rate)",
                "  schedule wsd  base 0.001  minimum 0.0001  warm-up 4  steps 20  decay 3",
                "  batch 8 sequences of 32  micro-batch 2  precision fp32  reduction exact  threads 1",
                "  val loss \(losses[2])  best \(best) at step \(bestStep)",
            ]
            #expect(losses.count == 3)
            let tensors = "  tensors 28 (28 F32)  parameters 36096"
            let found = try lines(workspace, checkpoint)
            #expect(Array(found[1..<6]) == state)
            #expect(found.contains(tensors))
            for name in ["model.safetensors", "config.json", "trainer_state.json"] {
                let line = try #require(found.first { $0.hasPrefix("  \(name)  ") })
                let bytes = try size(checkpoint + "/" + name)
                let hash = try #require(record.hashes[name])
                #expect(line == "  \(name)  \(bytes) bytes  sha256 \(hash.prefix(16))…  verifies")
            }
            #expect(try lines(workspace, checkpoint + "/trainer_state.json").dropFirst() == state[...])

            let weights = try lines(workspace, checkpoint + "/model.safetensors", ["--tensors"])
            #expect(weights[0].hasSuffix("model.safetensors  \(try size(checkpoint + "/model.safetensors")) bytes"))
            #expect(weights[1...2] == ["  metadata format: pt", tensors])
            #expect(weights.count == 3 + 28 && weights.contains("    transformer.wpe.weight  F32  [32, 32]"))
            #expect(try lines(workspace, checkpoint + "/model.safetensors").count == 3)
            let shape = "  gpt2  layers 2  heads 2  embedding 32  context 32  vocabulary 300  parameters 36096"
            #expect(try lines(workspace, checkpoint + "/config.json")[1] == shape)

            let run = try lines(workspace, workspace.file("run"))
            let short = String(format: "%.6f", try #require(Double(rate)))
            #expect(
                run[1] == "  step-00000017  verifies  learning rate \(short)  tokens 4352  val loss \(losses[2])")
            #expect(run.count == 3 && run[2].hasPrefix("  step-00000015  verifies  "))
            #expect(run[2].hasSuffix("  best") == (bestStep == 15) && !run[1].hasSuffix("  best"), "\(run)")
            let train = try #require(record.texts("train_loss").last ?? nil)
            let log = try lines(workspace, workspace.file("run/metrics.jsonl"))
            #expect(log[1] == "  steps 1 to 17  train loss \(train)  val loss \(losses[2])")
        }

        @Test func aCorpus() throws {
            let workspace = try Workspace()
            let shard = workspace.data + "/train_000000.bin"
            let bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
            let ids = stride(from: 1024, to: bytes.count, by: 2).map { Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8 }
            let found = try lines(workspace, shard)
            #expect(found[1] == "  tokens \(ids.count)  bytes a token 2  size \(bytes.count)")
            #expect(found[2] == "  ids \(try #require(ids.min())) to \(try #require(ids.max()))")
            let tokenizer = try lines(workspace, workspace.data + "/tokenizer.json")
            let identity = try #require(tokenizer[0].firstMatch(of: #/  BPE  ([0-9a-f]{12} of 300 tokens)$/#)).1
            #expect(tokenizer[1...2] == ["  vocabulary 300  merges 43", "  added <|endoftext|> = 0"])
            #expect(found[3] == "  tokenizer \(identity)")
        }
    }
}
