import Basics
import Foundation
import Glibc
import TestSupport
import Testing

// Tables about running processes: exit codes, signals, launch scripts.

extension TableChecks {
    static let running: [String: Check] = [
        "docs/distributed.md › Exit codes › code | meaning | `launch/restart`": { table in
            // What launch/restart does after each of them is run, row by row, by a test of that script.
            let codes = table.rows.flatMap { $0[0].split(separator: ", ").map(String.init) }
            // Those of mpirun, of the shell and of the system.
            let others = ["1", "126", "127", "129", "130", "131", "132", "138", "143", "128 + s", "205", "255"]
            #expect(codes.sorted() == (ExitCode.allCases.map { "\($0.rawValue)" } + others).sorted())
            for row in table.rows { try heldBy("LaunchTests/RestartTests.swift", "every row of the table")(row) }
        },
        "docs/operations.md › When a run ends by itself › code | first thing to do": { table in
            for row in table.rows {
                let code = try #require(Int32(row[0].prefix { $0.isNumber }), "\(row)")
                #expect(ExitCode(rawValue: code) != nil && code != 0, "\(row)")
            }
        },
        "docs/operations.md › Signals › signal to the process | effect": { table in
            var handled: Set<String> = []
            for row in table.rows {
                for match in row[0].matches(of: /(?:(first|second) )?(SIG[A-Z0-9]+)/) {
                    handled.insert(String(match.2))
                    try checkSignal(String(match.2), isSecond: match.1 == "second", effect: row[1])
                }
            }
            let (caught, ignored) = try signalsOfARun()
            #expect(handled == caught.union(ignored), "caught \(caught), ignored \(ignored)")
        },
        "docs/distributed.md › Stopping, and going on › to stop | what happens": { table in
            // The rows need mpirun and a save under way: each has a test of its own.
            try eachRow(
                table,
                [
                    "Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 to a launch script": heldBy(
                        "LaunchTests/RealRunTests.swift", "a stop is no crash"),
                    "a second Ctrl-C, SIGTERM or SIGHUP": heldBy(
                        "LaunchTests/SignalTests.swift", "theSecondOneEndsTheRun"),
                    "SIGKILL to a launch script": heldBy(
                        "LaunchTests/RealRunTests.swift", "kill -9 of the script: the ranks save and are gone"),
                    "SIGUSR1 to mpirun itself": heldBy("EndToEndTests/InterruptionTests.swift", "aSignalSavesAndStops"),
                    "SIGTERM or SIGINT to mpirun itself": heldBy(
                        "MPICollectivesTests/MPICommunicatorTests.swift", "A program that hangs is killed"),
                    "SIGKILL, power cut": heldBy("EndToEndTests/InterruptionTests.swift", "aKilledRankLosesNothing"),
                ])
        },
        "docs/distributed.md › This machine › matter | what mpirun does (Open MPI 4.1) | what to give": { table in
            let scripts = try Pages.paths(under: "launch").filter { !$0.hasSuffix(".md") }.map(Pages.text).joined()
            // What the page tells others to give is what our scripts give.
            for row in table.rows {
                for given in Pages.code(in: row[2]) {
                    for word in given.split(separator: " ") where !["THREADS", "T"].contains(word) {
                        let part = word.replacing("PE=THREADS", with: "PE=").split(separator: "=")[0]
                        #expect(scripts.contains(part), "\(word) of '\(row[0])' is in no launch script")
                    }
                }
            }
        },
    ]

    /// A row that says where its test is: the file must have a test of this name.
    private static func heldBy(_ path: String, _ name: String) -> ([String]) throws -> Void {
        { row in
            let files = path.hasSuffix(".swift") ? ["Tests/" + path] : Pages.paths(under: "Tests/" + path)
            let texts = try files.filter { $0.hasSuffix(".swift") }.map(Pages.text)
            #expect(texts.contains { $0.contains(name) }, "\(row[0]): no test \(name) in \(path)")
        }
    }

    /// A run that goes on until it is told to stop, past its start.
    private static func startRun(_ name: String) throws -> Subprocess {
        let process = try Subprocess(
            Program.executable.get(),
            Program.trainArguments(name, steps: 1_000_000, checkpointInterval: 100_000),
            workingDirectory: Program.home.get())
        #expect(process.waitForOutput("step 5 / ", timeout: 120))
        return process
    }

    private static func checkSignal(_ name: String, isSecond: Bool, effect: String) throws {
        let number = try #require(numbers[name], "\(name)")
        let run = "signal-\(name)-\(isSecond)"
        let process = try startRun(run)
        process.signal(number)
        if isSecond {
            // The second one may come as soon as the first is no longer caught; the step under way still goes on.
            while process.isRunning, try mask("SigCgt", process.processIdentifier).contains(name) { usleep(500) }
            process.signal(number)
        }
        if effect.hasPrefix("ignored: ") {
            let seen = process.standardOutputSoFar.split(separator: "\n").count
            let deadline = Date(timeIntervalSinceNow: 60)
            while process.isRunning, process.standardOutputSoFar.split(separator: "\n").count < seen + 5,
                Date() < deadline
            {
                usleep(10_000)
            }
            #expect(process.isRunning, "\(name) ended the run")
            process.signal(SIGUSR1)
        }
        let outcome = process.wait(timeout: 120)
        if isSecond {
            #expect(effect.hasPrefix("end at once; "))
            // Either it came in time, or the save was through before.
            #expect(outcome.status == 128 + number || outcome.status == 75, "\(outcome)")
        } else {
            #expect(effect.hasPrefix("ignored: ") || effect.hasSuffix("save, exit with 75"), "\(effect)")
            #expect(outcome.status == 75, "\(name): \(outcome)")
            #expect(outcome.standardOutput.contains("\ncheckpoint saved step-"), "\(outcome)")
        }
    }

    private static let numbers = [
        "SIGHUP": SIGHUP, "SIGINT": SIGINT, "SIGUSR1": SIGUSR1, "SIGPIPE": SIGPIPE, "SIGTERM": SIGTERM,
        "SIGXFSZ": SIGXFSZ, "SIGUSR2": SIGUSR2,
    ]

    /// The signals that a process catches (SigCgt) or ignores (SigIgn), of those that have a name here.
    private static func mask(_ field: String, _ id: Int32) throws -> Set<String> {
        let status = (try? String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix(field + ":") }
        let bits = UInt64(line?.split(separator: "\t").last ?? "0", radix: 16) ?? 0
        return Set(numbers.filter { bits >> UInt64($0.value - 1) & 1 == 1 }.keys)
    }

    private static func signalsOfARun() throws -> (caught: Set<String>, ignored: Set<String>) {
        let process = try startRun("masks")
        let masks = (
            caught: try mask("SigCgt", process.processIdentifier),
            ignored: try mask("SigIgn", process.processIdentifier)
        )
        process.signal(SIGKILL)
        _ = process.wait()
        return masks
    }
}
