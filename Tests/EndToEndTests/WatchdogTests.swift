import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEndFaults {
    /// A job that hangs ends by itself, says where, and leaves nobody behind; one that is slow does not.
    @Suite(.serialized) struct WatchdogTests {
        /// Steps that take some time, saves and evaluations now and then.
        private static let long = [
            "--steps", "100000", "--global-batch", "32", "--checkpoint-interval", "1000", "--eval-interval", "1000",
            "--step-timeout", "3",
        ]

        @Test("H1: a stopped rank ends the job with 76, and is named", arguments: [(0, 2), (1, 2), (2, 3)])
        func aStoppedRankEndsTheJob(victim: Int, ranks: Int) throws {
            let workspace = try Workspace()
            let options = Self.long + (ranks == 3 ? ["--global-batch", "24"] : [])
            let process = try workspace.start(workspace.trainArguments("run", options), ranks: ranks)
            #expect(process.waitForOutput("step 10 / ", timeout: 60))
            let family = try workspace.ranks(of: process, count: ranks)
            // Time for the heartbeats that tell of the first steps.
            #expect(Subprocess.waitForWork(1.5, of: family))
            kill(family[victim], SIGSTOP)
            let outcome = process.wait(timeout: 60)
            #expect(outcome.status == 76, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            let line = try #require(outcome.errorLines.first)
            #expect(line.contains("no word for ") && line.contains(" from rank \(victim) on "), "\(line)")
            #expect(
                line.contains("(last seen in step ") && line.contains("while rank \(victim == 0 ? 1 : 0) on "),
                "\(line)")
            #expect(Subprocess.waitForEnd(of: family))
        }

        @Test("H1: a rank that is stopped in an evaluation is named with it")
        func aStoppedRankInAnEvaluation() throws {
            let workspace = try Workspace()
            try workspace.writeLongShard("long.bin")
            let options = [
                "--val-data", "long.bin", "--eval-sequences", "all", "--eval-interval", "6", "--step-timeout", "3",
            ]
            let process = try workspace.start(workspace.trainArguments("run", options), ranks: 2)
            #expect(process.waitForOutput("checkpoint saved step-00000005", timeout: 60))
            workspace.waitForStep(5, of: "run")
            let family = try workspace.ranks(of: process, count: 2)
            // More than the step takes.
            #expect(Subprocess.waitForWork(1.5, of: family))
            kill(family[1], SIGSTOP)
            let outcome = process.wait(timeout: 60)
            #expect(outcome.status == 76, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            #expect(
                outcome.errorLines.first?.contains("from rank 1 on ") == true
                    && outcome.errorLines.first?.contains("(last seen in the evaluation after step 6)") == true,
                "\(outcome)")
            #expect(Subprocess.waitForEnd(of: family))
        }

        @Test("H5: without their launcher the ranks end by themselves")
        func ranksOfADeadLauncherEnd() throws {
            let workspace = try Workspace()
            let process = try workspace.start(workspace.trainArguments("run", Self.long), ranks: 2)
            #expect(process.waitForOutput("step 10 / ", timeout: 60))
            let family = try workspace.ranks(of: process, count: 2)
            kill(process.processIdentifier, SIGKILL)
            #expect(Subprocess.waitForEnd(of: family))
            _ = process.wait()
        }

        /// A second of every two, in turns: slow, and with the bits of a run that nobody stopped.
        @Test("H1: stops and continues within the limit raise no alarm")
        func shortStopsAreNoAlarm() throws {
            let workspace = try Workspace()
            let options = [
                "--steps", "200", "--checkpoint-interval", "50", "--eval-interval", "50", "--step-timeout", "20",
            ]
            let process = try workspace.start(workspace.trainArguments("run", options), ranks: 2)
            #expect(process.waitForOutput("step 5 / ", timeout: 60))
            let family = try workspace.ranks(of: process, count: 2)
            for turn in 0..<4 where process.isRunning {
                kill(family[turn % 2], SIGSTOP)
                usleep(1_000_000)
                kill(family[turn % 2], SIGCONT)
                usleep(300_000)
            }
            let outcome = process.wait(timeout: 120)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.errorLines.isEmpty && outcome.warningLines.isEmpty, "\(outcome)")
            #expect(try workspace.train("whole", options).status == 0)
            try RunRecord(workspace, "run", step: 200).expectSame(
                as: RunRecord(workspace, "whole", step: 200), "stops and continues")
        }

        /// A single process whose output nobody takes does not go on either.
        @Test func zeroTurnsTheLimitOff() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--step-timeout", "0"], ranks: 2)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(try workspace.train("no", ["--step-timeout", "-1"]).status == 64)
        }
    }
}

extension Workspace {
    /// The ranks that a launcher has started, by number, once all are there.
    func ranks(of launcher: Subprocess, count: Int) throws -> [Int32] {
        var found: [Int32] = []
        let deadline = Date(timeIntervalSinceNow: 60)
        while found.count < count, launcher.isRunning, Date() < deadline {
            usleep(2000)
            found = Subprocess.descendants(of: launcher.processIdentifier).filter(isExecuting).sorted()
        }
        try #require(found.count == count, "\(found)")
        return found
    }

    /// Whether a process has executed its first instructions: it takes signals as it wants.
    func isExecuting(_ process: Int32) -> Bool {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/exe")
        let status = link == executable ? try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) : nil
        let caught = status?.firstMatch(of: /SigCgt:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) } ?? 0
        return caught & 1 << UInt64(SIGINT - 1) != 0
    }

    /// Validation data that take minutes.
    func writeLongShard(_ name: String) throws {
        try writeShard(name, (0..<33).flatMap { [UInt16](repeating: $0, count: 200_000) })
    }

    /// Waits until a step has been logged in the run's metrics, a minute at most.
    func waitForStep(_ step: Int, of run: String) {
        _ = waitUntil {
            let text = try? String(contentsOfFile: file(run) + "/metrics.jsonl", encoding: .utf8)
            return text?.contains("\"step\":\(step),") == true
        }
    }
}
