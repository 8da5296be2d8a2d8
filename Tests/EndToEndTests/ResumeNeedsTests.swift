import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What a resume needs, and what contradicts its checkpoint.
    @Suite(.serialized) struct ResumeNeedsTests {
        private func started(_ workspace: Workspace, _ options: [String] = []) throws {
            let outcome = try workspace.train("run", options + ["--stop-after", "10"])
            #expect(outcome.status == 75, "\(outcome)")
        }

        /// Options of the run that are left out, as an empty value leaves them out of the test's own.
        static let identity = [
            "--layers", "", "--heads", "", "--embedding-size", "", "--context-length", "", "--global-batch", "",
            "--micro-batch", "", "--steps", "", "--warmup-steps", "", "--learning-rate", "", "--precision", "",
        ]

        @Test("P7: a resume takes from its checkpoint what is not given", arguments: [1, 2])
        func whatIsNotGivenIsTheCheckpoints(ranks: Int) throws {
            let workspace = try Workspace()
            let options = ["--schedule", "wsd", "--weight-decay", "0.2", "--seed", "7"]
            #expect(try workspace.train("whole", options).status == 0)
            try started(workspace, options)
            let outcome = try workspace.train("run", Self.identity, ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(!outcome.standardError.contains("changes at this resume"), "\(outcome)")
            try RunRecord(workspace, "run", step: 20).expectSame(
                as: RunRecord(workspace, "whole", step: 20), "taken over")
        }

        @Test("P7: the directory of --init-from may be gone at a resume", arguments: [true, false])
        func theModelDirectoryMayBeGone(isStillGiven: Bool) throws {
            let workspace = try Workspace()
            try FileManager.default.copyItem(atPath: Golden.path(of: "gpt2-curve"), toPath: workspace.file("hf"))
            let shard = try workspace.write(
                "tokens.bin", Data(contentsOf: URL(fileURLWithPath: Golden.path(of: "gpt2-curve-tokens.bin"))))
            let data = ["--train-data", shard, "--val-data", ""] + Self.identity
            let options = data + ["--steps", "20", "--global-batch", "8", "--micro-batch", "2"]
            try started(workspace, options + ["--init-from", workspace.file("hf")])
            try FileManager.default.removeItem(atPath: workspace.file("hf"))
            let outcome = try workspace.train(
                "run", isStillGiven ? options + ["--init-from", workspace.file("hf")] : data)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.contains { $0.hasPrefix("resumed from step-00000010") }, "\(outcome)")
        }

        @Test("S15: later checkpoints have the tokenizer though it is gone from beside the data")
        func theTokenizerStays() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("whole").status == 0)
            try started(workspace)
            try FileManager.default.removeItem(atPath: workspace.data + "/tokenizer.json")
            let outcome = try workspace.train("run")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(
                try RunRecord(workspace, "run", step: 20).hashes == RunRecord(workspace, "whole", step: 20).hashes)
        }

        @Test("S4: another tokenizer beside the data is refused unless it is meant")
        func anotherTokenizerIsRefused() throws {
            let workspace = try Workspace()
            try started(workspace)
            let path = workspace.data + "/tokenizer.json"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            // Another blank is no other tokenizer; another name of a token is.
            try workspace.write("data/tokenizer.json", (text + "\n").utf8)
            #expect(try workspace.train("run", ["--stop-after", "12"]).status == 75)
            try workspace.write(
                "data/tokenizer.json", text.replacingOccurrences(of: "<|endoftext|>", with: "<|end|>").utf8)
            let refused = try workspace.train("run")
            #expect(refused.status == 65, "\(refused)")
            #expect(refused.errorLines.first?.contains("--allow-other-tokenizer") == true, "\(refused)")
            let meant = try workspace.train("run", ["--allow-other-tokenizer"])
            #expect(meant.status == 0, "\(meant)")
        }

        @Test("S14: --stop-after behind the run is refused, at it stops at once")
        func aStopBehindTheRun() throws {
            let workspace = try Workspace()
            try started(workspace)
            let before = try workspace.tree("run")
            for ranks in [1, 2] {
                let behind = try workspace.train("run", ["--stop-after", "9"], ranks: ranks)
                #expect(behind.status == 64, "\(behind)")
                #expect(
                    behind.errorLines.first?.contains("--stop-after 9 is behind step-00000010") == true, "\(behind)")
            }
            let at = try workspace.train("run", ["--stop-after", "10"])
            #expect(at.status == 75, "\(at)")
            let after = try workspace.tree("run")
            #expect(before.filter { $0.key != "config.json" } == after.filter { $0.key != "config.json" })
        }

        @Test("W1: a finished run says all that a longer one needs, and it works")
        func aLongerRunIsToldWhole() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            let again = try workspace.train("run")
            #expect(again.status == 0, "\(again)")
            #expect(again.standardOutput.contains("give a larger --steps with --extend-schedule"), "\(again)")
            let longer = try workspace.train("run", ["--steps", "22", "--extend-schedule"])
            #expect(longer.status == 0 && longer.standardOutput.contains("checkpoint saved step-00000022"), "\(longer)")
        }

        @Test("W1: the advice after a loss that is not finite works, at a checkpoint and without one")
        func theAdviceAfterAnExplosionWorks() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "5"]).status == 75)
            let exploded = try workspace.train("run", ["--learning-rate", "1e30", "--rewarm", "2"])
            #expect(exploded.status == 79, "\(exploded)")
            let advice = try #require(
                exploded.standardError.firstMatch(
                    of: /go on from step-0000000(\d) with a lower --learning-rate and (--rewarm \d)/),
                "\(exploded)")
            let words = advice.2.split(separator: " ").map(String.init)
            let mended = try workspace.train("run", ["--learning-rate", "1e-4"] + words)
            #expect(mended.status == 0, "\(mended)")
            let fresh = try workspace.train("fresh", ["--learning-rate", "1e30", "--warmup-steps", "0"])
            #expect(fresh.status == 79 && fresh.standardError.contains("; lower --learning-rate, or find"), "\(fresh)")
            #expect(!fresh.standardError.contains("--rewarm"), "\(fresh)")
        }

        @Test func whatHasNoEffectIsSaid() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--rewarm", "5", "--stop-after", "1"])
            #expect(outcome.status == 75, "\(outcome)")
            #expect(outcome.lines.contains("--rewarm has no effect: the run starts at step 0"))
        }

        @Test("S16: the numbers of ranks that are said to have the same bits have them")
        func theNumbersOfRanksWithTheSameBits() throws {
            let workspace = try Workspace()
            let options = ["--global-batch", "6", "--micro-batch", "1", "--val-data", "", "--steps", "8"]
            func finish(_ ranks: Int) throws -> (RunRecord, Subprocess.Outcome) {
                let outcome = try workspace.train("run-\(ranks)", options, ranks: ranks)
                #expect(outcome.status == 0, "\(outcome)")
                return (try RunRecord(workspace, "run-\(ranks)", step: 8), outcome)
            }
            let (alone, said) = try finish(1)
            #expect(said.lines.contains { $0.hasPrefix("bits: the same on 1, 3, 6 ranks, others on other") }, "\(said)")
            for ranks in [3, 6] {
                let (record, said) = try finish(ranks)
                record.expectSame(as: alone, "\(ranks) ranks")
                #expect(said.lines.contains { $0.hasPrefix("bits: the same on 1, 3, 6 ranks") }, "\(said)")
            }
            let (two, warned) = try finish(2)
            #expect(two.hashes != alone.hashes)
            #expect(
                warned.warningLines.contains { $0.contains("3 micro-batches a rank are no power of two") }, "\(warned)")
            let even = try workspace.train("even", ["--stop-after", "1"])
            #expect(!even.standardOutput.contains("bits: "), "\(even)")
        }
    }
}
