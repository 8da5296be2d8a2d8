import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    /// Runs that end before their time, and go on as if they had not.
    @Suite(.serialized) struct InterruptionTests {
        /// Long enough to be caught in the middle: some seconds.
        private static let long = ["--steps", "300", "--global-batch", "32", "--checkpoint-interval", "20"]

        /// The same run, never interrupted; made once.
        private static let whole = Result {
            let workspace = try Workspace()
            let outcome = try workspace.train("whole", long)
            #expect(outcome.status == 0, "\(outcome)")
            return try RunRecord(workspace, "whole", step: 300)
        }

        @Test(arguments: [(1, SIGUSR1), (2, SIGUSR1), (1, SIGTERM), (1, SIGINT)])
        func aSignalSavesAndStops(ranks: Int, signal: Int32) throws {
            let workspace = try Workspace()
            let process = try workspace.start(workspace.trainArguments("run", Self.long), ranks: ranks)
            #expect(process.waitForOutput("step 25 / 300", timeout: 60))
            process.signal(signal)
            let outcome = process.wait()
            #expect(outcome.status == 75, "\(outcome)")
            #expect(outcome.errorLines.isEmpty)
            // The state of the step under way is saved, not only one that was due.
            let last = try #require(outcome.lines.last?.firstMatch(of: /^stopped on request at step (\d+);/))
            let step = try #require(Int(last.1))
            #expect(step >= 25 && step < 300)
            #expect(FileManager.default.fileExists(atPath: workspace.checkpoint("run", step)))
            let on = try workspace.train("run", Self.long, ranks: ranks)
            #expect(on.status == 0, "\(on)")
            #expect(on.lines.contains { $0.hasPrefix("resumed from step-\(String(format: "%08d", step)), ") }, "\(on)")
            try RunRecord(workspace, "run", step: 300).expectSame(as: Self.whole.get(), "after signal \(signal)")
        }

        /// Whichever rank is killed, mpirun ends with an error and nothing keeps running.
        @Test(arguments: [0, 1]) func aKilledRankLosesNothingThatWasSaved(victim: Int) throws {
            let workspace = try Workspace()
            let process = try workspace.start(workspace.trainArguments("run", Self.long), ranks: 2)
            #expect(process.waitForOutput("checkpoint saved step-00000040", timeout: 60))
            let ranks = Subprocess.descendants(of: process.processIdentifier).filter {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/exe")) == workspace.executable
            }.sorted()
            try #require(ranks.count == 2, "\(ranks)")
            kill(ranks[victim], SIGKILL)
            let outcome = process.wait(timeout: 30)
            #expect(outcome.status != 0 && !outcome.timedOut, "\(outcome)")
            // mpirun asks the others to end, and kills them when they do not.
            let deadline = Date(timeIntervalSinceNow: 10)
            while ranks.contains(where: Subprocess.isAlive), Date() < deadline { Thread.sleep(forTimeInterval: 0.05) }
            #expect(!ranks.contains(where: Subprocess.isAlive))

            let on = try workspace.train("run", Self.long, ranks: 2)
            #expect(on.status == 0, "\(on)")
            let resumed = try #require(
                on.standardOutput.firstMatch(of: /resumed from step-(\d{8}), learning rate \d\.\d{6}\n/))
            // What had been acknowledged is there.
            let acknowledged = outcome.lines.filter { $0.hasPrefix("checkpoint saved step-") }.compactMap {
                Int($0.suffix(8))
            }
            #expect(try #require(Int(resumed.1)) >= (acknowledged.max() ?? 40))
            try RunRecord(workspace, "run", step: 300).expectSame(as: Self.whole.get(), "after a kill")
        }

        @Test(arguments: ["model.safetensors", "optimizer.safetensors", "trainer_state.json", "manifest.json"])
        func aDamagedCheckpointIsPassedOver(file: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "12"]).status == 75)
            let good = try RunRecord(workspace, "run", step: 12)
            #expect(good.metrics.count == 12)
            let path = workspace.checkpoint("run", 12) + "/" + file
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))

            let on = try workspace.train("run", ranks: 2)
            #expect(on.status == 0, "\(on)")
            #expect(on.warningLines.contains { $0.contains("checkpoint step-00000012 is passed over: ") }, "\(on)")
            #expect(on.lines.contains { $0.hasPrefix("resumed from step-00000010, ") }, "\(on)")
            #expect(try workspace.train("whole").status == 0)
            try RunRecord(workspace, "run", step: 20).expectSame(
                as: RunRecord(workspace, "whole", step: 20), "past \(file)")
        }

        /// Ten steps cannot be the start of a run whose checkpoints are all broken: that would be silent loss.
        @Test func noCheckpointThatVerifiesIsAnError() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "3"]).status == 75)
            try Data("x".utf8).write(to: URL(fileURLWithPath: workspace.checkpoint("run", 3) + "/model.safetensors"))
            let outcome = try workspace.train("run")
            #expect(outcome.status == 65, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            #expect(outcome.errorLines.first?.contains("choose another --run-dir") == true)
        }
    }
}
