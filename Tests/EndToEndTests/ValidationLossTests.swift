import Foundation
import Kernels
import TestSupport
import Testing

extension EndToEnd {
    /// What `val loss` is of, and that `evaluate` says the same.
    @Suite(.serialized) struct ValidationLossTests {
        static let precisions = ["fp32", "bf16"].filter { $0 == "fp32" || Compute.hasFastBFloat16 }

        /// The loss that a run logged for a step, with all its digits and as the log line has it.
        private func logged(_ workspace: Workspace, _ outcome: Subprocess.Outcome, step: Int) throws -> (Double, String)
        {
            let record = try RunRecord(workspace, "run", step: 20)
            let exact = try #require(Double(record.texts("val_loss")[step - 1] ?? ""))
            let line = try #require(outcome.lines.first { $0.contains("  step \(step) / 20  ") })
            return (exact, String(try #require(line.firstMatch(of: #/val loss (\d+\.\d{4}) /#)).1))
        }

        /// 37 sequences: neither micro-batches nor ranks divide them.
        @Test("S2: evaluate --sequences N prints the logged loss to its last digit", arguments: precisions, [1, 2])
        func evaluatePrintsTheLoggedLoss(precision: String, ranks: Int) throws {
            let workspace = try Workspace()
            let options = ["--precision", precision, "--eval-sequences", "37"]
            let trained = try workspace.train("run", options, ranks: ranks)
            #expect(trained.status == 0, "\(trained)")
            for (checkpoint, step) in [("run", 20), (workspace.checkpoint("run", 10), 10)] {
                let (exact, shown) = try logged(workspace, trained, step: step)
                for (ranks, microBatch) in [(1, "8"), (2, "3"), (1, "1")] {
                    let outcome = try workspace.run(
                        [
                            "evaluate", "--checkpoint", checkpoint, "--data", workspace.data + "/val_*.bin",
                            "--sequences",
                            "37", "--micro-batch", microBatch,
                        ], ranks: ranks)
                    let text = try #require(outcome.standardOutput.firstMatch(of: /^loss (\S+)  ppl/), "\(outcome)").1
                    #expect(String(format: "%.6f", exact) == text, "\(precision), step \(step): \(outcome)")
                    #expect(String(format: "%.4f", exact) == shown)
                    #expect(outcome.standardOutput.contains("  tokens \(37 * 32)\n"))
                }
            }
        }

        @Test("M: evaluate computes in the precision that it was told", .enabled(if: Compute.hasFastBFloat16))
        func evaluateInEitherPrecision() throws {
            let workspace = try Workspace()
            for own in Self.precisions {
                #expect(try workspace.train(own, ["--precision", own]).status == 0)
                func printed(_ options: [String]) throws -> String {
                    try workspace.run(
                        ["evaluate", "--checkpoint", own, "--data", workspace.data + "/val_*.bin"] + options
                    ).standardOutput
                }
                let each = try Self.precisions.map { try printed(["--precision", $0]) }
                #expect(each[0] != each[1] && each.allSatisfy { $0.hasPrefix("loss ") })
                #expect(try printed([]) == each[own == "fp32" ? 0 : 1], "without the option: that of the training")
            }
        }

        /// Before the first step every run has the same weights: one sequence a step, at a rate of 0, moves none.
        @Test("S2: the set is the same at any micro-batch, any ranks and through resumes")
        func theSetDependsOnNothingElse() throws {
            let workspace = try Workspace()
            let options = ["--learning-rate", "0", "--eval-sequences", "11"]
            let whole = try workspace.train("run", options)
            #expect(whole.status == 0, "\(whole)")
            let expected = try RunRecord(workspace, "run", step: 20).texts("val_loss")
            #expect(expected.compactMap { $0 }.count == 4)
            for (microBatch, ranks) in [("1", 1), ("4", 2), ("8", 1)] {
                try? FileManager.default.removeItem(atPath: workspace.file("run"))
                let first = try workspace.train(
                    "run", options + ["--micro-batch", microBatch, "--stop-after", "7"], ranks: ranks)
                #expect(first.status == 75, "\(first)")
                #expect(try workspace.train("run", options + ["--micro-batch", "2"], ranks: 2).status == 0)
                #expect(
                    try RunRecord(workspace, "run", step: 20).texts("val_loss") == expected, "\(microBatch), \(ranks)")
            }
        }

        @Test("S20: a log line has a validation loss where it was computed, and there is one where it was")
        func theLossStandsWhereItWasComputed() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--log-interval", "2", "--eval-interval", "7"])
            #expect(outcome.status == 0, "\(outcome)")
            let steps = outcome.lines.compactMap { line -> String? in
                guard let step = line.firstMatch(of: /^epoch \d+  step (\d+) \/ 20/) else { return nil }
                return line.contains("  val loss ") ? "\(step.1) val" : "\(step.1)"
            }
            #expect(steps == ["2", "4", "6", "7 val", "8", "10", "12", "14 val", "16", "18", "20 val"])
        }

        @Test(
            "S2: the start says what the loss covers",
            arguments: [
                ("all", "validation: all N sequences, "),
                ("5", "validation: 5 of N sequences, spread evenly, 160 tokens"),
            ])
        func theStartSaysWhatItCovers(sequences: String, says: String) throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--eval-sequences", sequences, "--stop-after", "1"])
            let line = try #require(outcome.lines.first { $0.hasPrefix("validation: ") }, "\(outcome)")
            let number = try #require(line.firstMatch(of: /(\d+) sequences/)?.1)
            #expect(line.hasPrefix(says.replacing("N", with: number)), "\(line)")
        }

        @Test("S2: the best loss starts anew when its set changes, and a line says so")
        func theBestStartsAnew() throws {
            let workspace = try Workspace()
            func state(_ step: Int) throws -> [String: Any] {
                let bytes = try Data(
                    contentsOf: URL(fileURLWithPath: workspace.checkpoint("run", step) + "/trainer_state.json"))
                return try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
            }
            func best(_ step: Int) throws -> Double { try #require(try state(step)["best_validation_loss"] as? Double) }
            #expect(try workspace.train("run", ["--stop-after", "5"]).status == 75)
            let first = try best(5)
            let same = try workspace.train("run", ["--stop-after", "6"])
            #expect(!same.standardOutput.contains("starts anew"))
            #expect(try best(6) == first)
            let other = try workspace.train("run", ["--eval-sequences", "2", "--stop-after", "7"])
            #expect(other.lines.contains { $0.hasPrefix("validation: other sequences") }, "\(other)")
            #expect(try state(7)["best_validation_loss"] == nil)
            #expect(try workspace.train("run", ["--eval-sequences", "2"]).status == 0)
            let set = try #require(try state(20)["validation_set"] as? [String: Any])
            #expect("\(set["sequences"] ?? "")" == "2")
        }
    }
}
