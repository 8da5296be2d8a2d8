import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEndFaults {
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

        /// The step takes seconds, so the first request is not honoured yet.
        @Test("M: a second Ctrl-C ends the process at once")
        func aSecondInterrupt() throws {
            let workspace = try Workspace()
            let options = ["--global-batch", "16384", "--checkpoint-interval", "1"]
            let process = try workspace.start(workspace.trainArguments("run", options))
            #expect(process.waitForOutput("checkpoint saved step-00000001", timeout: 120))
            // Two that come before the process gets to see the first are one.
            for _ in 0..<20 where process.isRunning {
                process.signal(SIGINT)
                usleep(200_000)
            }
            let outcome = process.wait()
            #expect(outcome.status == 130, "\(outcome)")
            #expect(!outcome.standardOutput.contains("stopped on request"), "\(outcome)")
        }

        /// The others hear of it from the one that was asked.
        @Test("H3: a signal to one rank alone stops all", arguments: [0, 1])
        func aSignalToOneRank(rank: Int) throws {
            let workspace = try Workspace()
            // Without an evaluation, in which they ask each other too.
            let options = Self.long + ["--eval-interval", "1000"]
            let process = try workspace.start(workspace.trainArguments("run", options), ranks: 2)
            #expect(process.waitForOutput("step 25 / 300", timeout: 60))
            kill(try workspace.ranks(of: process, count: 2)[rank], SIGUSR1)
            let outcome = process.wait()
            #expect(outcome.status == 75, "\(outcome)")
            // Before the last step, which is evaluated in any case.
            let last = outcome.lines.last?.firstMatch(of: /^stopped on request at step (\d+);/).flatMap { Int($0.1) }
            #expect(last.map { $0 < 300 } == true, "\(outcome)")
        }

        /// Its own copy of the tokens is cut in the middle of the run.
        @Test("What one rank alone meets ends the job with its code, and a line says which rank it was")
        func anErrorOfOneRank() throws {
            let workspace = try Workspace()
            try FileManager.default.copyItem(atPath: workspace.data, toPath: workspace.file("own"))
            let script = "[ $OMPI_COMM_WORLD_RANK = 1 ] && o=own; exec \"$@\" --train-data \"${o:-data}/train_*.bin\""
            let process = try Subprocess.startMPI(
                ranks: 2, executable: "/bin/sh",
                arguments: ["-c", script, "sh", workspace.executable]
                    + workspace.trainArguments("run", Self.long + ["--train-data", ""]),
                workingDirectory: workspace.path)
            #expect(process.waitForOutput("step 5 / 300", timeout: 60))
            truncate(workspace.file("own/train_000000.bin"), 1100)
            let outcome = process.wait()
            #expect(outcome.status == 65, "\(outcome)")
            #expect(outcome.errorLines.count == 1 && outcome.errorLines[0].contains("error: rank 1 on "), "\(outcome)")
            #expect(outcome.errorLines.first?.contains("has become shorter") == true, "\(outcome)")
        }

        /// Who gets which signal.
        struct Request: Sendable, CustomTestStringConvertible {
            let ranks: Int
            let signal: Int32
            /// mpirun or the single process; else the ranks of these numbers.
            var victims: [Int]?
            var testDescription: String {
                "\(ranks) ranks, signal \(signal) to \(victims.map { "ranks \($0)" } ?? "all")"
            }

            static let all = [
                Request(ranks: 1, signal: SIGUSR1), Request(ranks: 1, signal: SIGTERM),
                Request(ranks: 1, signal: SIGINT),
                Request(ranks: 2, signal: SIGUSR1), Request(ranks: 2, signal: SIGTERM, victims: [1]),
                Request(ranks: 2, signal: SIGINT, victims: [0, 1]),
            ]
        }

        /// A short run of everything: starts, steps, evaluations that take most of the time, saves, an end.
        private static let busy = ["--eval-interval", "2", "--eval-sequences", "all", "--checkpoint-interval", "3"]

        private static let busyWhole = Result {
            let workspace = try Workspace()
            let start = Date()
            let outcome = try workspace.train("whole", busy)
            #expect(outcome.status == 0, "\(outcome)")
            return (try RunRecord(workspace, "whole", step: 20), seconds: Date().timeIntervalSince(start))
        }

        /// Moments of each request; STOP_MOMENTS sets another number for a long search.
        private static let moments = ProcessInfo.processInfo.environment["STOP_MOMENTS"].flatMap(Int.init) ?? 3

        @Test("H3: a stop at any moment saves, or comes before there is anything to save", arguments: Request.all)
        func aStopAtAnyMoment(request: Request) throws {
            let whole = try Self.busyWhole.get()
            let workspace = try Workspace()
            var counts: [String: Int] = [:]
            for moment in 0..<Self.moments {
                let name = "run\(moment)"
                let process = try workspace.start(workspace.trainArguments(name, Self.busy), ranks: request.ranks)
                // From the first instructions on, to a little after the end.
                var victims = [process.processIdentifier]
                if request.ranks > 1 {
                    victims = try workspace.ranks(of: process, count: request.ranks)
                    victims = request.victims.map { $0.map { victims[$0] } } ?? [process.processIdentifier]
                } else {
                    while !workspace.isExecuting(process.processIdentifier), process.isRunning { usleep(500) }
                }
                Thread.sleep(forTimeInterval: Double.random(in: 0...1.1 * whole.seconds))
                for victim in victims where process.isRunning { kill(victim, request.signal) }
                let outcome = process.wait(timeout: 90)
                let early = request.signal == SIGUSR1 ? 143 : 128 + request.signal
                let saved = outcome.standardOutput.contains("\nstopped on request at step ")
                counts["\(outcome.status)\(saved ? " saved" : "")", default: 0] += 1
                #expect(outcome.status == 0 || outcome.status == (saved ? 75 : early), "\(request), \(outcome)")
                #expect(outcome.errorLines.isEmpty, "\(outcome)")
                if outcome.status != 0 {
                    if !saved { #expect(!outcome.standardOutput.contains("epoch 1  step"), "\(outcome)") }
                    let on = try workspace.train(name, Self.busy, ranks: request.ranks)
                    #expect(on.status == 0, "\(on)")
                }
                try RunRecord(workspace, name, step: 20).expectSame(as: whole.0, "\(request), \(outcome)")
                try FileManager.default.removeItem(atPath: workspace.file(name))
            }
            if Self.moments > 3 { print("\(request.testDescription): \(counts)") }
        }

        /// The evaluation would take minutes; the run that goes on makes it, and is none the wiser.
        @Test("H3: a stop in the middle of an evaluation is seen at once", arguments: [1, 2])
        func aStopDuringAnEvaluation(ranks: Int) throws {
            let workspace = try Workspace()
            let options = [
                "--val-data", "long.bin", "--eval-sequences", "all", "--steps", "7", "--eval-interval", "7",
            ]
            try workspace.writeLongShard("long.bin")
            let process = try workspace.start(workspace.trainArguments("run", options), ranks: ranks)
            #expect(process.waitForOutput("checkpoint saved step-00000005", timeout: 60))
            workspace.waitForStep(6, of: "run")
            // More than the step takes.
            let family = ranks == 1 ? [process.processIdentifier] : try workspace.ranks(of: process, count: ranks)
            #expect(Subprocess.waitForWork(1, of: family))
            process.signal(SIGUSR1)
            let outcome = process.wait(timeout: 60)
            #expect(outcome.status == 75, "\(outcome)")
            #expect(outcome.lines.last?.hasPrefix("stopped on request at step 7;") == true, "\(outcome)")
            // With a validation set that is soon read, the evaluation is made first, and then the run is over.
            try workspace.writeShard("long.bin", [UInt16](repeating: 1, count: 1000))
            let on = try workspace.train("run", options, ranks: ranks)
            #expect(on.status == 0, "\(on)")
            #expect(try workspace.train("whole", options, ranks: ranks).status == 0)
            try RunRecord(workspace, "run", step: 7).expectSame(
                as: RunRecord(workspace, "whole", step: 7), "\(ranks) ranks")
        }

        /// Whichever rank is killed, mpirun ends with an error and nothing keeps running.
        @Test(arguments: [0, 1]) func aKilledRankLosesNothingThatWasSaved(victim: Int) throws {
            let workspace = try Workspace()
            let process = try workspace.start(workspace.trainArguments("run", Self.long), ranks: 2)
            #expect(process.waitForOutput("checkpoint saved step-00000040", timeout: 60))
            let ranks = try workspace.ranks(of: process, count: 2)
            kill(ranks[victim], SIGKILL)
            let outcome = process.wait()
            #expect(outcome.status != 0 && !outcome.timedOut, "\(outcome)")
            // mpirun asks the others to end, and kills them when they do not.
            #expect(Subprocess.waitForEnd(of: ranks))

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
