import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What a run shows and writes while it goes on.
    @Suite(.serialized) struct WatchingTests {
        private func object(_ line: some StringProtocol) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }

        private static let sampling = ["--sample-interval", "10", "--sample-prompt", "let ", "--sample-tokens", "12"]

        @Test("With --log-format json each line of the log and each warning is an object")
        func theLogAsJSON() throws {
            let workspace = try Workspace()
            let options = Self.sampling + ["--log-format", "json", "--keep-best"]
            let first = try workspace.train("run", options + ["--stop-after", "10"])
            #expect(first.status == 75 && first.standardError.isEmpty, "\(first)")
            let second = try workspace.train("run", options + ["--grad-clip", "0.5"])
            #expect(second.status == 0, "\(second)")
            var events: [String] = []
            for line in first.lines + second.lines {
                let object = try object(line)
                let time = try #require(object["time"] as? String)
                #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
                let event = try #require(object["event"] as? String)
                if event != "message" { events.append("\(event) \(object["step"] ?? "?")") }
                if event == "message" { #expect(object["message"] is String) }
            }
            #expect(
                events.filter { !$0.hasPrefix("checkpoint ") } == [
                    "step 5", "step 10", "sample 10", "stopped 10", "step 15", "step 20", "sample 20",
                ])
            for step in [5, 10, 15, 20] { #expect(events.contains("checkpoint \(step)")) }
            // The members of metrics.jsonl, digit by digit.
            let metrics = try String(contentsOfFile: workspace.file("run/metrics.jsonl"), encoding: .utf8)
            for line in first.lines + second.lines where line.contains(#""event":"step""#) {
                let members = try #require(line.components(separatedBy: #""event":"step","#).last)
                #expect(metrics.contains("{" + members + "\n"), "\(line)")
            }
            let warning = try object(try #require(second.standardError.split(separator: "\n").first))
            #expect(warning["event"] as? String == "warning")
            #expect((warning["message"] as? String)?.hasPrefix("--grad-clip changes at this resume") == true)
        }

        @Test("Samples are the same on two ranks, and generate writes them again")
        func samples() throws {
            let workspace = try Workspace()
            for (run, ranks) in [("one", 1), ("two", 2)] {
                let outcome = try workspace.train(run, Self.sampling, ranks: ranks)
                #expect(outcome.status == 0, "\(outcome)")
                #expect(outcome.lines.contains(#"sample at step 20, after "let ":"#), "\(outcome)")
            }
            let file = try String(contentsOfFile: workspace.file("one/samples.jsonl"), encoding: .utf8)
            #expect(try String(contentsOfFile: workspace.file("two/samples.jsonl"), encoding: .utf8) == file)
            let last = try object(try #require(file.split(separator: "\n").last))
            let text = try #require(last["text"] as? String)
            let written = try workspace.run([
                "generate", "--checkpoint", workspace.file("one"), "--prompt", "let ", "--max-tokens", "12",
            ])
            #expect(written.standardOutput == "let \(text)\n", "\(written)")

            let inspected = try workspace.run(["inspect", workspace.file("one/samples.jsonl")])
            #expect(inspected.status == 0 && inspected.standardOutput.hasSuffix("  samples 2  steps 10 to 20\n"))
            try workspace.write("one/samples.jsonl", (file + "{\"step\":20,").utf8)
            let cut = try workspace.run(["inspect", workspace.file("one/samples.jsonl")])
            #expect(cut.status == 65 && cut.standardOutput.contains("DOES NOT VERIFY: line 3"), "\(cut)")
        }

        /// On a pipe the display is one line without escape codes, and gone before each line of the log.
        @Test func theDisplayOnAPipe() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--progress"], ranks: 2)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardError.contains(#/\r[█░]{30} \d+/20  loss \d\.\d{4}  \d+ tok/s  \d+ s left/#))
            #expect(!outcome.standardError.contains("\u{1B}"), "\(outcome)")
            #expect(outcome.lines.allSatisfy { !$0.contains("█") })
            // At the end nothing is left of it.
            #expect(outcome.standardError.last == "\r", "\(outcome)")
        }
    }
}
