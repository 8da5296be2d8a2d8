import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite(.serialized) struct ConfigurationFileTests {
        private static let yaml = """
            # A run of 20 steps.
            train-data: data/train_*.bin
            val-data: "data/val_*.bin"
            layers: 2
            heads: 2
            embedding-size: 32
            context-length: 32
            micro-batch: 2
            global-batch: 8
            steps: 2_0
            warmup-steps: 4
            learning-rate: 1e-3
            threads: 1
            log-interval: 5
            eval-interval: 5
            eval-sequences: 6
            checkpoint-interval: 5
            precision: fp32
            no-shuffle: true
            """

        @Test(arguments: [1, 2]) func aFileGivesTheSameRunAsFlags(ranks: Int) throws {
            let workspace = try Workspace()
            try workspace.write("run.yaml", Self.yaml.utf8)
            let byFile = try workspace.run(["train", "--config", "run.yaml", "--run-dir", "by-file"], ranks: ranks)
            #expect(byFile.status == 0, "\(byFile)")
            let byFlags = try workspace.train("by-flags", ["--no-shuffle"])
            #expect(byFlags.status == 0, "\(byFlags)")
            try RunRecord(workspace, "by-file", step: 20).expectSame(
                as: RunRecord(workspace, "by-flags", step: 20), "by file and by flags")
        }

        @Test func flagsWin() throws {
            let workspace = try Workspace()
            try workspace.write("run.yaml", Self.yaml.utf8)
            let outcome = try workspace.run([
                "train", "--config", "run.yaml", "--run-dir", "run", "--seed", "5", "--steps", "3", "--layers", "1",
            ])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardOutput.contains(" layers=1 "))
            #expect(outcome.standardOutput.contains("checkpoint saved step-00000003"))
            let kept = try String(contentsOfFile: workspace.file("run/config.json"), encoding: .utf8)
            let object = try #require(try JSONSerialization.jsonObject(with: Data(kept.utf8)) as? [String: Any])
            #expect("\(object["layers"] ?? "")" == "1")
            #expect("\(object["seed"] ?? "")" == "5")
            #expect("\(object["heads"] ?? "")" == "2")
            #expect("\(object["no-shuffle"] ?? "")" == "true")
        }
    }
}
