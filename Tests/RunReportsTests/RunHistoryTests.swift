import Basics
import Foundation
import RunReports
import Testing

/// A run directory as a whole, and what is none.
@Suite struct RunHistoryTests {
    private let fixture: RunFixture

    init() throws { fixture = try RunFixture() }

    private func error(_ paths: FilePath...) -> ExitError? {
        do {
            _ = try RunHistory.read(paths)
            return nil
        } catch {
            return error as? ExitError
        }
    }

    @Test func whatIsNoRun() throws {
        let root = FilePath(fixture.root)
        #expect(error(root.appending("missing"))?.exitCode == 66)
        #expect(error(root)?.exitCode == 66)
        #expect(error(root)?.description.contains("it has no metrics.jsonl") == true)
        #expect(error(try fixture.write("file", "text"))?.exitCode == 65)
        let empty = try fixture.write("empty/metrics.jsonl", "").removingLastComponent()
        #expect(error(empty)?.exitCode == 65)
        #expect(error(empty)?.description.contains("has no step yet") == true)
        let torn = try fixture.write("torn/metrics.jsonl", "{\"step\":1").removingLastComponent()
        #expect(error(torn)?.exitCode == 65)
        let run = try fixture.run("run", steps: 3)
        #expect(error(run, run)?.exitCode == 64)
        #expect(error(run) == nil)
    }

    @Test func namesAreTold() throws {
        let paths = try ["a/same", "b/same", "c"].map { try fixture.run($0, steps: 2) }
        #expect(try RunHistory.read(paths).map(\.name) == [paths[0].string, paths[1].string, "c"])
        #expect(try RunHistory.read([paths[0], paths[2]]).map(\.name) == ["same", "c"])
        #expect(try RunHistory.read([FilePath(paths[2].string + "/.")]).map(\.name) == [paths[2].string + "/."])
    }

    @Test func recordsBesideTheMetrics() throws {
        let path = try fixture.run("run", steps: 4)
        try fixture.write(
            "run/starts.jsonl",
            """
            {"time":"2026-01-01T00:00:00Z","step":0,"ranks":2,"threads":3,"precision":"bf16","host":"a b","cpu":"C"}
            {"time":"2026-01-01T00:01:
            {"time":"2026-01-01T00:02:00Z","step":2,"ranks":1}
            {"time":"2026-01-01T00:03:00Z","step":3,"outcome":"failed","reason":"why"}
            {"time":"2026-01-01T00:04:00Z","step":3,"outcome":"stopped"}

            """)
        try fixture.write(
            "run/samples.jsonl", "{\"step\":2,\"prompt\":\"p\",\"text\":\"t\"}\n{\"step\":4,\"text\":\"u\"}\nx\n")
        try fixture.write("run/config.json", "{\"steps\":\"4\",\"seed\":\"1\"}")
        let run = try RunHistory.read([path])[0]
        #expect(run.starts.map(\.kind) == ["started", "resumed", "failed", "stopped"])
        #expect(run.starts[0].ranks == 2 && run.starts[0].threads == 3 && run.starts[0]["host"] == "a b")
        #expect(run.starts[2].reason == "why" && run.starts[1]["host"] == "")
        #expect(run.samples.map(\.step) == [2, 4] && run.samples.map(\.prompt) == ["p", ""])
        #expect(run.options.map(\.name) == ["steps", "seed"] && run.options.map(\.value) == ["4", "1"])
        #expect(run.warnings.isEmpty && run.checkpoints.isEmpty)
        try fixture.write("run/config.json", "{")
        #expect(try RunHistory.read([path])[0].warnings.count == 1)
    }
}
