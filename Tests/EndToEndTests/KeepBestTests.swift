import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `--keep-best` and `--stop-after-no-improvement` of the real executable. At a rate of 0 no weight moves, so that the
    /// first loss stays the best.
    @Suite(.serialized) struct KeepBestTests {
        private static let options = ["--learning-rate", "0", "--keep", "1", "--keep-best"]

        private func names(_ workspace: Workspace) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: workspace.file("run/checkpoints")).sorted()
        }

        @Test(
            "A run ends for want of a lower loss at the same step on any ranks and through a resume",
            arguments: [(1, nil), (2, nil), (2, "7"), (2, "10")] as [(Int, String?)])
        func theEnd(ranks: Int, stop: String?) throws {
            let workspace = try Workspace()
            let options = Self.options + ["--stop-after-no-improvement", "2"]
            if let stop {
                let stopped = try workspace.train("run", options + ["--stop-after", stop], ranks: 3 - ranks)
                #expect(stopped.status == 75, "\(stopped)")
            }
            let outcome = try workspace.train("run", options, ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            let end = /stopped: no better validation loss in 2 evaluations; the best, \d\.\d{4}, was at step 5/
            #expect(outcome.lines.last?.wholeMatch(of: end) != nil, "\(outcome)")
            #expect(try names(workspace) == ["best", "step-00000005", "step-00000015"])
            #expect(try RunRecord(workspace, "run", step: 15).metrics.count == 15)

            let again = try workspace.train("run", options, ranks: ranks)
            #expect(again.status == 0, "\(again)")
            #expect(again.lines.last?.prefixMatch(of: end) != nil, "\(again)")
            #expect(again.lines.last?.contains("give a larger --stop-after-no-improvement") == true, "\(again)")
            #expect(try RunRecord(workspace, "run", step: 15).metrics.count == 15)

            let longer = try workspace.train("run", Self.options + ["--stop-after-no-improvement", "9"], ranks: ranks)
            #expect(longer.status == 0 && !longer.standardOutput.contains("stopped: "), "\(longer)")
            #expect(try names(workspace) == ["best", "step-00000005", "step-00000020"])
        }

        @Test("checkpoints/best is a checkpoint to every command, and inspect says which one it is")
        func theLink() throws {
            let workspace = try Workspace()
            let trained = try workspace.train("run", Self.options)
            #expect(trained.status == 0, "\(trained)")
            #expect(
                trained.lines.contains {
                    $0.wholeMatch(of: /checkpoint saved step-00000005  best validation loss \d\.\d{4}/) != nil
                },
                "\(trained)")
            let inspected = try workspace.run(["inspect", "run"])
            #expect(inspected.status == 0, "\(inspected)")
            #expect(inspected.lines.map { $0.hasSuffix("  best") } == [false, false, true], "\(inspected)")
            #expect(inspected.lines.last?.hasPrefix("  step-00000005  verifies") == true)
            let best = try workspace.run(["inspect", "run/checkpoints/best"])
            #expect(best.lines.contains { $0.hasPrefix("  step 5 / 20  ") }, "\(best)")
            #expect(best.lines.contains { $0.hasPrefix("  val loss ") && $0.hasSuffix(" at step 5") }, "\(best)")
            func printed(_ checkpoint: String) throws -> Subprocess.Outcome {
                try workspace.run(
                    [
                        "evaluate", "--checkpoint", checkpoint, "--data", workspace.data + "/val_*.bin", "--sequences",
                        "3",
                    ])
            }
            let (linked, direct) = (try printed("run/checkpoints/best"), try printed(workspace.checkpoint("run", 5)))
            #expect(linked.status == 0 && linked.standardOutput == direct.standardOutput, "\(linked)")
        }

        @Test(
            "Without validation data both options are refused",
            arguments: [["--keep-best"], ["--stop-after-no-improvement", "2"]],
            [1, 2])
        func withoutValidationData(option: [String], ranks: Int) throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--val-data", ""] + option, ranks: ranks)
            #expect(outcome.status == 64, "\(outcome)")
            #expect(
                outcome.errorLines.first?.contains("\(option[0]) goes by the validation loss; give --val-data") == true,
                "\(outcome)")
            #expect(!FileManager.default.fileExists(atPath: workspace.file("run")))
        }
    }
}
