import Foundation
import Glibc
import TestSupport
import Testing

/// The scripts with the real mpirun and the real executable.
@Suite(.serialized) struct RealRunTests {
    /// A folder for runs on a text that was tokenized once, with the scripts of this repository.
    private final class Place: Sendable {
        let path = NSTemporaryDirectory() + "swiftlet-launch-" + UUID().uuidString
        let executable: String
        let data: String

        init() throws {
            executable = try BuildProducts.executable("swiftlet")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            data = try Self.shared.get()
        }

        private static let shared = Result {
            let words = [
                "let", "var", "func", "return", "value", "index", "count", "self", "print", "if", "else", "for",
            ]
            let text = (0..<20_000).map { words[($0 * $0 + $0 / 7) % 12] }.joined(separator: " ")
            let folder = NSTemporaryDirectory() + "swiftlet-launch-" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            sharedFolder = folder
            atexit { try? FileManager.default.removeItem(atPath: RealRunTests.Place.sharedFolder) }
            try text.write(toFile: folder + "/text.txt", atomically: false, encoding: .utf8)
            let outcome = try Subprocess.run(
                LaunchTree.repository + "/launch/local",
                ["tokenize", "--input", folder + "/text.txt", "--output", folder + "/data", "--vocab-size", "300"],
                environment: ["SWIFTLET": try BuildProducts.executable("swiftlet")])
            try #require(outcome.status == 0, "\(outcome)")
            return folder + "/data"
        }
        nonisolated(unsafe) private static var sharedFolder = ""

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func start(_ script: String, _ arguments: [String]) throws -> Subprocess {
            try Subprocess(
                LaunchTree.repository + "/launch/" + script, arguments, environment: ["SWIFTLET": executable],
                workingDirectory: path)
        }

        func run(_ script: String, _ arguments: [String]) throws -> Subprocess.Outcome {
            try start(script, arguments).wait(timeout: 120)
        }

        /// A run that goes on for hours unless somebody ends it.
        func train(_ more: String..., run: String = "r") -> [String] {
            let steps = more.isEmpty ? ["--steps", "10000000"] : more
            return [
                "train", "--run-dir", run, "--train-data", data + "/train_*.bin", "--val-data", data + "/val_*.bin",
            ]
                + ["--layers", "1", "--heads", "1", "--embedding-size", "16", "--context-length", "16"]
                + ["--micro-batch", "2", "--global-batch", "4", "--precision", "fp32", "--log-interval", "10"]
                + ["--eval-interval", "1000000", "--checkpoint-interval", "20"] + steps
        }

        /// The ranks of a run.
        func ranks(_ run: Subprocess) -> [Int32] {
            Subprocess.descendants(of: run.processIdentifier).filter {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/exe")) == executable
            }.sorted()
        }

        var checkpoints: [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: path + "/r/checkpoints").filter {
                FileManager.default.fileExists(atPath: path + "/r/checkpoints/\($0)/manifest.json")
            }) ?? []
        }
    }

    private static let two = ["-n", "2", "-t", "1"]

    @Test func aRunFromTextToText() throws {
        let place = try Place()
        let whole = try place.run("local", Self.two + place.train("--steps", "20"))
        #expect(whole.status == 0, "\(whole)")
        #expect(
            whole.standardOutput.contains("ranks: 2 ")
                && whole.standardOutput.contains("checkpoint saved step-00000020"))
        let loss = try place.run(
            "local", Self.two + ["evaluate", "--checkpoint", "r", "--data", place.data + "/val_*.bin"])
        #expect(loss.status == 0 && loss.standardOutput.split(separator: "\n").count == 1, "\(loss)")
        // L3: once, not twice.
        let text = try place.run(
            "local", Self.two + ["generate", "--checkpoint", "r", "--prompt", "let var", "--max-tokens", "5"])
        #expect(text.status == 0 && text.standardOutput.components(separatedBy: "let var").count == 2, "\(text)")
    }

    @Test("L7: an error of swiftlet is its own line and the code") func anError() throws {
        let place = try Place()
        let outcome = try place.run("local", Self.two + place.train("--learning-rate", "x"))
        #expect(outcome.status == 64)
        let lines = outcome.standardError.split(separator: "\n").filter { !$0.hasPrefix("launch: ") }
        #expect(lines.count == 1 && lines[0].hasPrefix("swiftlet: error: --learning-rate"), "\(outcome)")
    }

    @Test("L7: a stop is no crash", arguments: [SIGINT, SIGTERM, SIGHUP, SIGUSR1]) func aStop(signal: Int32) throws {
        let place = try Place()
        let run = try place.start("local", Self.two + place.train())
        #expect(run.waitForOutput("step 10 /", timeout: 60))
        run.signal(signal)
        let outcome = run.wait()
        #expect(outcome.status == 75, "\(outcome)")
        #expect(outcome.standardOutput.contains("stopped on request at step"))
        #expect(!outcome.standardError.contains("---") && !outcome.standardError.contains("mpirun:"), "\(outcome)")
        let last = try #require(outcome.standardOutput.firstMatch(of: /stopped on request at step (\d+);/))
        #expect(place.checkpoints.contains { Int($0.dropFirst(5)) == Int(last.1) })
    }

    @Test("H3: stops in the first two seconds", arguments: 0..<8) func anEarlyStop(number: Int) throws {
        let place = try Place()
        let run = try place.start("local", Self.two + place.train())
        Thread.sleep(forTimeInterval: Double.random(in: 0..<2))
        run.signal([SIGINT, SIGTERM, SIGHUP, SIGUSR1][number % 4])
        let outcome = run.wait()
        let expected: Set<Int32> = [75, number % 4 == 0 ? 130 : 143]
        // The shell itself may not be there yet.
        let early: Set<Int32> = [129, 138]
        #expect(
            expected.contains(outcome.status) || early.contains(outcome.status) && outcome.standardError.isEmpty,
            "\(outcome)")
        #expect((outcome.status == 75) == !place.checkpoints.isEmpty, "\(outcome)")
    }

    @Test("H3: requests that go on until mpirun has ended change nothing") func requestsToTheEnd() throws {
        let place = try Place()
        let run = try place.start("local", Self.two + place.train())
        #expect(run.waitForOutput("step 10 /", timeout: 60))
        let mpirun = try #require(
            Subprocess.descendants(of: run.processIdentifier).first {
                (try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)) == "mpirun\n"
            })
        #expect(waitUntil { kill(mpirun, SIGUSR1) != 0 && !Subprocess.isAlive(mpirun) })
        let outcome = run.wait()
        #expect(outcome.status == 75, "\(outcome)")
    }

    @Test("H5: kill -9 of the script: the ranks save and are gone", arguments: ["local", "restart"])
    func aKilledScript(script: String) throws {
        let place = try Place()
        let local = LaunchTree.repository + "/launch/local"
        let run = try place.start(script, (script == "local" ? [] : [local]) + Self.two + place.train())
        #expect(run.waitForOutput("step 30 /", timeout: 60))
        let family = Subprocess.descendants(of: run.processIdentifier)
        #expect(place.ranks(run).count == 2)
        kill(run.processIdentifier, SIGKILL)
        #expect(Subprocess.waitForEnd(of: family))
        #expect(place.checkpoints.contains { ($0.dropFirst(5).suffix(8)) > "00000020" }, "\(place.checkpoints)")
        #expect(run.wait().standardOutput.contains("stopped on request"))
    }

    @Test("L7: a killed rank is told by mpirun, and launch/restart goes on") func aKilledRank() throws {
        let place = try Place()
        let local = LaunchTree.repository + "/launch/local"
        let run = try place.start("restart", ["-p", "0", local] + Self.two + place.train())
        #expect(run.waitForOutput("checkpoint saved step-00000020", timeout: 60))
        let ranks = place.ranks(run)
        try #require(ranks.count == 2, "\(ranks)")
        kill(ranks[1], SIGKILL)
        #expect(run.waitForOutput("resumed from step-", timeout: 60))
        run.signal(SIGTERM)
        let outcome = run.wait()
        #expect([75, 143].contains(outcome.status), "\(outcome)")
        #expect(outcome.standardError.contains("exited on signal 9 (Killed)"), "\(outcome)")
        #expect(outcome.launchLines.contains { $0.hasPrefix("exit code 137, newest checkpoint: step ") })
    }

    @Test("L1: two runs at once are never bound to the same core") func twoRunsAtOnce() throws {
        let place = try Place()
        var masks: [[String]] = []
        var runs: [Subprocess] = []
        for name in ["r1", "r2"] {
            let run = try place.start("local", ["-n", "1", "-t", "1"] + place.train(run: name))
            #expect(run.waitForOutput("step 10 /", timeout: 60))
            runs.append(run)
            let masksOfRun = place.ranks(run).compactMap {
                try? String(contentsOfFile: "/proc/\($0)/status", encoding: .utf8)
            }
            masks.append(masksOfRun.compactMap { $0.firstMatch(of: /Cpus_allowed_list:\s+(\S+)/).map { String($0.1) } })
            // Bound, or told that it is not.
            #expect(masks.last?.count == 1)
        }
        for run in runs {
            run.signal(SIGUSR1)
            #expect(run.wait().status == 75)
        }
        let all = try allowed()
        #expect(masks[0] != masks[1] || masks[0] == [all], "\(masks)")
    }

    @Test("L6: srun without a PMI is refused, by one task in one line", arguments: [0, 1]) func lonelyTasks(task: Int)
        throws
    {
        let place = try Place()
        let outcome = try Subprocess.run(
            place.executable, place.train(), environment: ["SLURM_PROCID": "\(task)", "SLURM_STEP_NUM_TASKS": "2"],
            workingDirectory: place.path)
        #expect(outcome.status == 78, "\(outcome)")
        let lines = outcome.standardError.split(separator: "\n")
        #expect(lines.count == (task == 0 ? 1 : 0), "\(outcome)")
        #expect(lines.allSatisfy { $0.contains("srun started 2 tasks that cannot see each other") })
    }

    private func allowed() throws -> String {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return String(try #require(status.firstMatch(of: /Cpus_allowed_list:\s+(\S+)/)).1)
    }
}
