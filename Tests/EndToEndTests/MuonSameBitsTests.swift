import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    /// The same bits with Muon, short sequences first and a straight decay: at every number of ranks, and over a kill.
    @Suite(.serialized) struct MuonSameBitsTests {
        private static let steps = 160
        /// Sequences are short until step 80. The matrices are worth sharing at each number of ranks here.
        private static let options = [
            "--architecture", "modern", "--optimizer", "muon", "--muon-precision", "fp32", "--muon-learning-rate",
            "0.04", "--sequence-warmup", "8:0.25,16:0.5", "--schedule", "wsd", "--decay-share", "0.6", "--decay-shape",
            "linear", "--warmup-steps", "0", "--learning-rate", "0.01", "--embedding-size", "64", "--micro-batch", "1",
            "--steps", "\(steps)", "--log-interval", "40", "--eval-interval", "40", "--checkpoint-interval", "10",
        ]

        /// The run that nothing disturbs, without mpirun; made once.
        private static let whole = Result { try finish(Workspace(), "whole", ranks: 0) }

        @Test(arguments: [1, 2, 4, 8]) func everyNumberOfRanks(ranks: Int) throws {
            let record = try Self.finish(Workspace(), "run", ranks: ranks)
            try expectSame(record, "\(ranks) ranks")
        }

        /// Killed while sequences are short, and gone on with at another number of ranks; 0 is without mpirun.
        @Test(arguments: [(0, 2), (1, 8), (2, 4), (4, 1), (8, 0)])
        func aKillAndAnotherNumberOfRanks(before: Int, after: Int) throws {
            let workspace = try Workspace()
            let process = try Self.start(workspace, "run", ranks: before)
            let victims = before == 0 ? [process.processIdentifier] : try workspace.ranks(of: process, count: before)
            #expect(process.waitForOutput("checkpoint saved step-00000010", timeout: 120))
            kill(victims[victims.count - 1], SIGKILL)
            let outcome = process.wait(timeout: 60)
            #expect(outcome.status != 0 && !outcome.timedOut, "\(outcome)")
            #expect(Subprocess.waitForEnd(of: victims))

            let second = try Self.start(workspace, "run", ranks: after).wait(timeout: 300)
            #expect(second.status == 0, "\(second)")
            let resumed = try #require(
                second.standardOutput.firstMatch(of: #/resumed from step-(\d{8}), /#), "\(second)")
            #expect((10..<80).contains(try #require(Int(resumed.1))), "\(resumed.0): sequences were no longer short")
            try expectSame(RunRecord(workspace, "run", step: Self.steps), "\(before) ranks, then \(after)")
        }

        private func expectSame(_ record: RunRecord, _ comment: Comment) throws {
            let whole = try Self.whole.get()
            #expect(Set(whole.texts("sequence_length")) == ["8", "16", "32"])
            record.expectSame(as: whole, comment)
            for name in ["muon_lr", "sequence_length"] { #expect(record.texts(name) == whole.texts(name), comment) }
        }

        private static func finish(_ workspace: Workspace, _ run: String, ranks: Int) throws -> RunRecord {
            let outcome = try start(workspace, run, ranks: ranks).wait(timeout: 300)
            #expect(outcome.status == 0, "\(outcome)")
            // Of one rank there is nobody to share with.
            let line = outcome.lines.first { $0.hasPrefix("optimizer: muon for 12 matrices ") }
            #expect(line?.contains("shared by the ranks") == (ranks > 1), "\(outcome)")
            return try RunRecord(workspace, run, step: steps)
        }

        private static func start(_ workspace: Workspace, _ run: String, ranks: Int) throws -> Subprocess {
            let arguments = workspace.trainArguments(run, options)
            guard ranks > 0 else { return try workspace.start(arguments) }
            return try Subprocess.startMPI(
                ranks: ranks, executable: workspace.executable, arguments: arguments, workingDirectory: workspace.path)
        }
    }
}
