import Foundation
import Kernels
import TestSupport
import Testing

extension EndToEnd {
    /// What a resume may change and what it may not.
    @Suite(.serialized) struct ResumeTests {
        private func started(_ options: [String] = []) throws -> Workspace {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", options + ["--stop-after", "10"])
            #expect(outcome.status == 75, "\(outcome)")
            return workspace
        }

        @Test(arguments: [
            (["--steps", "40"], "--steps: saved 20, asked for 40"),
            (["--learning-rate", "0.002"], "--learning-rate: saved 0.001, asked for 0.002"),
            (["--warmup-steps", "0"], "--warmup-steps: saved 4, asked for 0"),
            (["--schedule", "linear"], "--schedule: saved cosine, asked for linear"),
            (["--min-learning-rate", "0.0001"], "--min-learning-rate: saved 0.0, asked for 0.0001"),
            // Only --steps may change with --extend-schedule.
            (["--learning-rate", "0.002", "--extend-schedule"], "--learning-rate: saved 0.001, asked for 0.002"),
        ])
        func anotherScheduleIsRefused(options: [String], difference: String) throws {
            let workspace = try started()
            let before = try workspace.tree("run")
            for ranks in options == ["--steps", "40"] ? [1, 2] : [1] {
                let outcome = try workspace.train("run", options, ranks: ranks)
                #expect(outcome.status == 64, "\(outcome)")
                #expect(outcome.errorLines.count == 1, "\(outcome)")
                let line = String(outcome.errorLines.first ?? "")
                #expect(line.contains(difference), "\(outcome)")
                #expect(line.contains("--extend-schedule") && line.contains("--rewarm"), "\(outcome)")
            }
            #expect(try workspace.tree("run") == before)
        }

        /// cos at 6/16 and at 6/36 of the decay: the jump is printed, and is the new curve's.
        @Test func extendingPrintsOldAndNewRate() throws {
            let workspace = try started()
            let outcome = try workspace.train("run", ["--steps", "40", "--extend-schedule"], ranks: 2)
            #expect(outcome.status == 0, "\(outcome)")
            let (old, new) = try rates(outcome)
            #expect(abs(old - 0.001 * 0.5 * (1 + cos(Double.pi * 6 / 16))) < 1e-15)
            #expect(abs(new - 0.001 * 0.5 * (1 + cos(Double.pi * 6 / 36))) < 1e-15)
            let record = try RunRecord(workspace, "run", step: 40)
            #expect(record.texts("step") == (1...40).map { "\($0)" })
            let logged = try #require(Double(record.texts("lr")[10] ?? ""))
            #expect(abs(logged - 0.001 * 0.5 * (1 + cos(Double.pi * 7 / 36))) < 1e-15)
        }

        /// From the old rate in five even steps to the new curve.
        @Test func rewarmingPrintsOldAndNewRate() throws {
            let workspace = try started()
            let outcome = try workspace.train("run", ["--learning-rate", "0.004", "--rewarm", "5"], ranks: 2)
            #expect(outcome.status == 0, "\(outcome)")
            let (old, new) = try rates(outcome)
            let saved = 0.001 * 0.5 * (1 + cos(Double.pi * 6 / 16))
            let target = 0.004 * 0.5 * (1 + cos(Double.pi * 6 / 16))
            #expect(abs(old - saved) < 1e-15)
            #expect(abs(new - (saved + (target - saved) / 5)) < 1e-15)
        }

        /// A restart loop gives the same flags every time: the second start must not move the rate again.
        @Test func repeatingTheFlagsChangesNothing() throws {
            let workspace = try started()
            let flags = ["--steps", "40", "--extend-schedule"]
            #expect(try workspace.train("run", flags + ["--stop-after", "20"]).status == 75)
            let outcome = try workspace.train("run", flags)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(!outcome.standardOutput.contains("learning rate changes"), "\(outcome)")
        }

        private func rates(_ outcome: Subprocess.Outcome) throws -> (old: Double, new: Double) {
            let line = try #require(
                outcome.standardOutput.firstMatch(of: /learning rate changes with the new schedule: (\S+) → (\S+)\n/),
                "\(outcome)")
            return (try #require(Double(line.1)), try #require(Double(line.2)))
        }

        /// --precision auto at a resume is what the run began with, not what this machine would choose.
        @Test func autoKeepsTheSavedPrecision() throws {
            let workspace = try started()
            #expect(try workspace.train("whole").status == 0)
            let outcome = try workspace.train("run", ["--precision", "auto"])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardOutput.contains(" precision=fp32 "))
            try RunRecord(workspace, "run", step: 20).expectSame(as: RunRecord(workspace, "whole", step: 20), "auto")
        }

        @Test(.enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16"))
        func autoKeepsBF16() throws {
            let workspace = try started(["--precision", "bf16"])
            let outcome = try workspace.train("run", ["--precision", "auto"])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardOutput.contains(" precision=bf16 "))
            #expect(outcome.standardOutput.contains("  amp true  "))
        }

        @Test(arguments: [
            ("--precision", "bf16", "--precision is bf16, the checkpoint has fp32"),
            ("--embedding-size", "64", "--embedding-size is 64, the checkpoint has 32"),
            ("--layers", "3", "--layers is 3, the checkpoint has 2"),
            ("--heads", "4", "--heads is 4, the checkpoint has 2"),
            ("--context-length", "16", "--context-length is 16, the checkpoint has 32"),
            ("--vocab-size", "301", "--vocab-size is 301, the checkpoint has 300"),
            ("--global-batch", "16", "--global-batch is 16, the checkpoint has 8"),
            ("--seed", "2", "--seed is 2, the checkpoint has 1337"),
        ])
        func anotherRunsCheckpointIsRefused(name: String, value: String, difference: String) throws {
            let workspace = try started()
            let before = try workspace.tree("run")
            for ranks in name == "--precision" ? [1, 2] : [1] {
                let outcome = try workspace.train("run", [name, value], ranks: ranks)
                #expect(outcome.status == 64, "\(outcome)")
                #expect(outcome.errorLines.count == 1, "\(outcome)")
                #expect(outcome.errorLines.first?.contains(difference) == true, "\(outcome)")
            }
            #expect(try workspace.tree("run") == before)
        }

        @Test func otherDataIsRefused() throws {
            let workspace = try started()
            let before = try workspace.tree("run")
            let outcome = try workspace.train("run", ["--train-data", workspace.data + "/val_*.bin"])
            #expect(outcome.status == 65, "\(outcome)")
            #expect(
                outcome.errorLines.first?.contains("training data is not what step-00000010 was trained on") == true)
            #expect(try workspace.tree("run") == before)
        }

        @Test func neverRefusesToMixTwoRuns() throws {
            let workspace = try started()
            let outcome = try workspace.train("run", ["--resume", "never"])
            #expect(outcome.status == 73, "\(outcome)")
            #expect(outcome.errorLines.first?.contains("step-00000010") == true)
        }

        /// Two courses of a run in one directory: the next automatic resume would take the wrong one.
        @Test func goingBackInARunDirectoryIsRefused() throws {
            let workspace = try started()
            let before = try workspace.tree("run")
            let outcome = try workspace.train("run", ["--resume", workspace.checkpoint("run", 5)])
            #expect(outcome.status == 73, "\(outcome)")
            #expect(outcome.errorLines.first?.contains("goes back to step 5") == true, "\(outcome)")
            #expect(try workspace.tree("run") == before)
        }

        /// An explicit path, of another run directory.
        @Test func anExplicitCheckpointIsTaken() throws {
            let workspace = try started()
            let outcome = try workspace.train("other", ["--resume", workspace.checkpoint("run", 5)], ranks: 2)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.contains { $0.hasPrefix("resumed from step-00000005, ") })
            #expect(try workspace.train("whole").status == 0)
            let other = try RunRecord(workspace, "other", step: 20)
            #expect(other.hashes == (try RunRecord(workspace, "whole", step: 20).hashes))
            #expect(other.texts("step") == (6...20).map { "\($0)" })
        }
    }
}
