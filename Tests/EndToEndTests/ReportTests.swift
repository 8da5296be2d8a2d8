import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `report` and `plot` of a run that was stopped and went on.
    @Suite(.serialized) struct ReportTests {
        private func workspace() throws -> Workspace {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "10"]).status == 75)
            #expect(try workspace.train("run").status == 0)
            return workspace
        }

        @Test func reportsAndCharts() throws {
            let workspace = try workspace()
            let before = try workspace.tree("run")
            let outcome = try workspace.run(["report", "run"])
            #expect(outcome.status == 0 && outcome.standardError.isEmpty, "\(outcome)")
            #expect(
                outcome.standardOutput.hasPrefix("report.html  ")
                    && outcome.standardOutput.hasSuffix("1 run  20 steps\n"))
            let html = try String(contentsOfFile: workspace.file("report.html"), encoding: .utf8)
            for text in [
                "resumed", "stopped", "finished", "step-00000020", "all files there", "<title>Run run</title>",
                "learning-rate",
                "swiftlet train --train-data",
            ] {
                #expect(html.contains(text), "\(text)")
            }
            // Another run beside it, and the page is replaced.
            #expect(try workspace.train("other", ["--steps", "5"]).status == 0)
            let both = try workspace.run(["report", "run", "other/", "--output", "report.html"])
            #expect(both.status == 0 && both.standardOutput.hasSuffix("2 runs  25 steps\n"), "\(both)")

            let chart = try workspace.run(["plot", "run", "other", "--metric", "val_loss", "--x", "tokens"])
            #expect(
                chart.status == 0
                    && chart.standardOutput.hasPrefix("validation loss, nats over tokens\nA run\nB other\n"))
            let svg = try workspace.run(["plot", "run", "--log-y", "--smooth", "3", "--output", "chart.svg"])
            #expect(svg.status == 0 && svg.standardOutput.isEmpty, "\(svg)")
            #expect(try String(contentsOfFile: workspace.file("chart.svg"), encoding: .utf8).hasPrefix("<svg "))
            #expect(try workspace.tree("run") == before, "nothing in the run is changed")
        }

        private static let wrong: [(words: String, status: Int32)] = [
            ("report", 64), ("report missing", 66), ("report data", 66), ("report run run/", 64),
            ("plot run data/../run", 64),
            ("report run --output data", 73), ("report run --output no/such/report.html", 73),
            ("report run --trace run/config.json", 65), ("plot run --metric los", 64), ("plot run --smooth -1", 64),
            ("plot run --x foo", 64), ("plot empty", 65), ("plot run --output data", 73),
            ("plot run --output chart.png", 64),
            ("report run --output page.pdf", 64), ("plot run --metric val_bpb", 65), ("report strange", 65),
        ]

        @Test(arguments: wrong)
        func mistakes(words: String, status: Int32) throws {
            let workspace = try Workspace()
            try workspace.write("run/metrics.jsonl", "{\"step\":1,\"train_loss\":2.0}\n".utf8)
            try workspace.write("run/config.json", "{}".utf8)
            try workspace.write("empty/metrics.jsonl", "".utf8)
            try workspace.write("strange/metrics.jsonl", "step 1\n".utf8)
            let outcome = try workspace.run(words.split(separator: " ").map(String.init))
            #expect(outcome.status == status, "\(outcome)")
            #expect(outcome.errorLines.count == 1 && outcome.standardOutput.isEmpty, "\(outcome)")
            #expect(!outcome.standardError.contains(".;") && !outcome.standardError.contains(":;"), "\(outcome)")
        }

        @Test func toStandardOutput() throws {
            let workspace = try Workspace()
            try workspace.write("run/metrics.jsonl", "{\"step\":1,\"train_loss\":2.0}\n".utf8)
            let svg = try workspace.run(["plot", "run", "--metric", "train_loss", "--output", "-"])
            #expect(svg.status == 0 && svg.standardOutput.hasPrefix("<svg ") && svg.errorLines.isEmpty, "\(svg)")
            let page = try workspace.run(["report", "run", "--output", "-"])
            #expect(page.status == 0 && page.standardOutput.hasPrefix("<!doctype html>"), "\(page)")
            #expect(page.standardOutput.hasSuffix("</html>\n"))
        }
    }
}
