import Foundation
import Kernels
import TestSupport
import Testing

extension EndToEnd {
    /// The promise: the same bits on any number of ranks, stopped or not.
    @Suite(.serialized) struct SameBitsTests {
        @Test func fp32AtOneTwoAndFourRanks() throws { try compareRanks("fp32") }

        // Without AVX512_BF16 the executable refuses bf16: then there is nothing to compare.
        @Test(.enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16"))
        func bf16AtOneTwoAndFourRanks() throws { try compareRanks("bf16") }

        private func compareRanks(_ precision: String) throws {
            let workspace = try Workspace()
            // Eight micro-batches of one: three levels of the tree, shared by rank and inside a rank in three ways.
            let options = ["--precision", precision, "--micro-batch", "1"]
            let alone = try finish(workspace, "alone", options)
            #expect(alone.metrics.count == 20)
            #expect(alone.texts("val_loss").compactMap { $0 }.count == 4)
            for ranks in [2, 4] {
                let record = try finish(workspace, "on-\(ranks)", options, ranks: ranks)
                record.expectSame(as: alone, "\(precision), \(ranks) ranks")
            }
        }

        /// Ranks and threads as the machine gives them: the last bits depend on neither.
        @Test(arguments: ["fp32", "bf16"].filter { $0 == "fp32" || Compute.hasFastBFloat16 })
        func everyNumberOfThreadsHasTheSameBits(precision: String) throws {
            let workspace = try Workspace()
            let shape = [
                "--precision", precision, "--embedding-size", "160", "--heads", "4", "--micro-batch", "4",
                "--global-batch", "16", "--context-length", "128", "--steps", "10",
            ]
            let alone = try finish(workspace, "alone", shape, step: 10)
            for (threads, ranks) in [("2", 1), ("3", 1), ("7", 1), ("2", 2)] {
                let outcome = try workspace.train("t\(threads)-\(ranks)", shape + ["--threads", threads], ranks: ranks)
                #expect(outcome.status == 0, "\(outcome)")
                let record = try RunRecord(workspace, "t\(threads)-\(ranks)", step: 10)
                for name in ["lr", "train_loss", "grad_norm", "val_loss"] {
                    #expect(record.texts(name) == alone.texts(name), "\(threads) threads, \(ranks) ranks")
                }
                // The state keeps the number of threads.
                for file in ["model.safetensors", "optimizer.safetensors"] {
                    #expect(record.hashes[file] == alone.hashes[file], "\(threads) threads, \(ranks) ranks")
                }
            }
        }

        /// 10 + 10 steps are 20, at each number of ranks and from one to another.
        @Test(arguments: [(1, 1), (2, 2), (4, 4), (2, 1), (2, 4), (1, 2)])
        func stoppingChangesNothing(before: Int, after: Int) throws {
            try stopAndGoOn(before, after, "fp32")
        }

        @Test(.enabled(if: Compute.hasFastBFloat16, "bf16 needs a CPU with AVX512_BF16"), arguments: [(2, 2), (2, 1)])
        func stoppingChangesNothingInBF16(before: Int, after: Int) throws {
            try stopAndGoOn(before, after, "bf16")
        }

        /// The stop is at step 7, off every rhythm.
        private func stopAndGoOn(_ before: Int, _ after: Int, _ precision: String) throws {
            let workspace = try Workspace()
            let options = ["--precision", precision]
            let whole = try finish(workspace, "whole", options)
            let first = try workspace.train("halves", options + ["--stop-after", "7"], ranks: before)
            #expect(first.status == 75, "\(first)")
            #expect(first.lines.contains("checkpoint saved step-00000007"), "\(first)")
            #expect(first.lines.last?.hasPrefix("stopped on request at step 7") == true, "\(first)")
            #expect(first.errorLines.isEmpty)
            let second = try workspace.train("halves", options, ranks: after)
            #expect(second.status == 0, "\(second)")
            // base 1e-3, W = 4, S = 20: 0.5 · (1 + cos(π · 3/16)).
            #expect(second.lines.contains("resumed from step-00000007, learning rate 0.000916"), "\(second)")
            let halves = try RunRecord(workspace, "halves", step: 20)
            #expect(halves.texts("step") == (1...20).map { "\($0)" })
            halves.expectSame(as: whole, "\(before), then \(after) ranks")
        }

        /// Three cuts, more epochs than one, shuffled anew in each.
        @Test func manyStopsOverEpochs() throws {
            let workspace = try Workspace()
            // 20 steps of 32 sequences go over the validation shard several times.
            let options = ["--train-data", workspace.data + "/val_*.bin", "--global-batch", "32"]
            let whole = try finish(workspace, "whole", options)
            #expect(Set(whole.texts("epoch")).count >= 3)
            for (stop, ranks) in [("3", 2), ("9", 1), ("16", 4)] {
                let outcome = try workspace.train("cut", options + ["--stop-after", stop], ranks: ranks)
                #expect(outcome.status == 75, "\(outcome)")
            }
            let cut = try finish(workspace, "cut", options, ranks: 2)
            cut.expectSame(as: whole, "three stops")
        }

        private func finish(
            _ workspace: Workspace, _ run: String, _ options: [String], ranks: Int = 1, step: Int = 20
        ) throws -> RunRecord {
            let outcome = try workspace.train(run, options, ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            return try RunRecord(workspace, run, step: step)
        }
    }
}
