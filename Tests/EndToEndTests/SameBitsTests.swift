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
            let alone = try finish(workspace, "alone", ["--precision", precision])
            #expect(alone.metrics.count == 20)
            #expect(alone.texts("val_loss").compactMap { $0 }.count == 4)
            for ranks in [2, 4] {
                let record = try finish(workspace, "on-\(ranks)", ["--precision", precision], ranks: ranks)
                record.expectSame(as: alone, "\(precision), \(ranks) ranks")
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
            // The validation shard has some 270 sequences of 32 tokens: 20 steps of 32 are more than two epochs.
            let options = ["--train-data", workspace.data + "/val_*.bin", "--global-batch", "32"]
            let whole = try finish(workspace, "whole", options)
            #expect(whole.texts("epoch").last == "3")
            for (stop, ranks) in [("3", 2), ("9", 1), ("16", 4)] {
                let outcome = try workspace.train("cut", options + ["--stop-after", stop], ranks: ranks)
                #expect(outcome.status == 75, "\(outcome)")
            }
            let cut = try finish(workspace, "cut", options, ranks: 2)
            cut.expectSame(as: whole, "three stops")
        }

        private func finish(
            _ workspace: Workspace, _ run: String, _ options: [String], ranks: Int = 1
        ) throws -> RunRecord {
            let outcome = try workspace.train(run, options, ranks: ranks)
            #expect(outcome.status == 0, "\(outcome)")
            return try RunRecord(workspace, run, step: 20)
        }
    }
}
