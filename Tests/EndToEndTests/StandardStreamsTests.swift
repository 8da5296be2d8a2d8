import Foundation
import TestSupport
import Testing

extension EndToEndFaults {
    /// What is said where nobody can hear it: no exit code changes, nothing traps, and a result that is lost is an error.
    @Suite(.serialized) struct StandardStreamsTests {
        /// Ways in which a stream cannot be written; `N` is its number.
        static let broken = ["closed: exec \"$@\" N>&-", "full: exec \"$@\" N>/dev/full", "broken pipe: pipe"]

        /// Runs the executable under bash with one of its streams broken.
        private func run(_ arguments: [String], in workspace: Workspace, stream: Int, _ way: String) throws
            -> Subprocess.Outcome
        {
            let script =
                way.hasSuffix("pipe")
                // Nobody reads any more by the time that the program begins.
                ? "exec 4>&1; { sleep 0.3; \"$@\" \(stream == 1 ? "" : "2>&1 1>&4"); echo $? >&3; } 3>code | :; "
                    + "exit $(cat code)"
                : way.split(separator: ": ")[1].replacingOccurrences(of: "N", with: "\(stream)")
            return try Subprocess.run(
                "/bin/bash", ["-c", script, "bash", workspace.executable] + arguments, workingDirectory: workspace.path,
                timeout: 60)
        }

        /// One error of every subcommand and of the parser, with its exit code.
        static let mistakes: [(arguments: [String], code: Int32)] = [
            (["nonsense"], 64), (["train", "--layers"], 64), (["train", "--layers", "x", "--run-dir", "r"], 64),
            (["train", "--train-data", "none.bin", "--run-dir", "r"], 66),
            (["evaluate", "--checkpoint", "none", "--data", "none.bin"], 66),
            (["generate", "--checkpoint", "none", "--prompt", "a"], 66), (["inspect", "none"], 66),
            (["tokenize", "--input", "none", "--output", "out"], 66), (["bench", "--steps", "0"], 64),
        ]

        @Test("T3: an error whose line cannot be written keeps its exit code", arguments: broken)
        func errorsKeepTheirCode(way: String) throws {
            let workspace = try Workspace()
            for (arguments, code) in Self.mistakes {
                let outcome = try run(arguments, in: workspace, stream: 2, way)
                #expect(outcome.status == code, "\(arguments): \(outcome)")
            }
        }

        @Test("S11: a result that cannot be written is 74, with one line", arguments: broken)
        func lostResultsAreErrors(way: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--steps", "1"]).status == 0)
            let run = workspace.file("run")
            let text = try workspace.write("text.txt", "one two three four five\n".utf8)
            for arguments in [
                ["--help"], ["--version"], ["train", "--help"], ["inspect", run],
                ["generate", "--checkpoint", run, "--prompt", "let", "--max-tokens", "3"],
                ["evaluate", "--checkpoint", run, "--data", workspace.data + "/val_*.bin", "--sequences", "2"],
                ["tokenize", "--input", text, "--output", "out", "--vocab-size", "257", "--val-fraction", "0"],
                [
                    "bench", "--steps", "1", "--layers", "1", "--embedding-size", "32", "--heads", "1",
                    "--context-length", "8", "--vocab-size", "64", "--micro-batch", "1",
                ],
            ] {
                let outcome = try self.run(arguments, in: workspace, stream: 1, way)
                #expect(outcome.status == 74, "\(arguments): \(outcome)")
                #expect(outcome.errorLines.count == 1, "\(arguments): \(outcome)")
                #expect(outcome.errorLines.first?.contains("standard output cannot be written: ") == true)
            }
        }

        /// The run is worth more than its log: same bits, one warning.
        @Test("T3: training goes on without its log", arguments: broken)
        func trainingGoesOnWithoutItsLog(way: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("whole").status == 0)
            let deaf = try run(workspace.trainArguments("deaf"), in: workspace, stream: 1, way)
            #expect(deaf.status == 0, "\(deaf)")
            #expect(deaf.warningLines.filter { $0.contains("standard output cannot be written") }.count == 1, "\(deaf)")
            let dumb = try run(workspace.trainArguments("dumb", ["--progress"]), in: workspace, stream: 2, way)
            #expect(dumb.status == 0, "\(dumb)")
            let whole = try RunRecord(workspace, "whole", step: 20)
            for name in ["deaf", "dumb"] { try RunRecord(workspace, name, step: 20).expectSame(as: whole, "\(name)") }
        }

        /// Nothing that a terminal must understand but the return of the carriage, and no line longer than the screen.
        @Test("W5: the live display needs no escape codes and keeps to the width", arguments: ["20", "60", ""])
        func theLiveDisplayFits(columns: String) throws {
            let workspace = try Workspace()
            let outcome = try Subprocess.run(
                workspace.executable, workspace.trainArguments("run", ["--steps", "60", "--progress"]),
                environment: ["COLUMNS": columns, "TERM": "dumb"], workingDirectory: workspace.path, timeout: 120)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(!outcome.standardError.contains("\u{1B}"), "\(outcome)")
            // A fast run is over before the bar has its first full block.
            #expect(outcome.standardError.contains(/\r[█░]/), "\(outcome)")
            for line in outcome.standardError.split(whereSeparator: \.isNewline)
            where !line.hasPrefix("swiftlet") {
                #expect(line.count < Int(columns) ?? 80, "\(line)")
            }
        }
    }
}
