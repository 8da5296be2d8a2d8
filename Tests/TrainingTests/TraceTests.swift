import Basics
import Foundation
import Testing
import Training

/// `--trace FILE`: what Chrome's trace viewer and Perfetto read.
@Suite struct TraceTests {
    struct Slice {
        let name: String
        let category: String
        let start: Double
        let end: Double
    }

    /// Slices by row, (process, thread).
    private func rows(ranks: Int, microBatch: Int = 1, optimizer: String = "adamw") throws -> [[Int]: [Slice]] {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"), microBatch: microBatch)
        configuration.steps = 6
        configuration.warmupSteps = 1
        configuration.bucketBytes = 4096
        try configuration.set("optimizer", optimizer)
        configuration.trace = FilePath(directory.file("trace.json"))
        try train(configuration, ranks: ranks)
        let data = try Data(contentsOf: URL(fileURLWithPath: directory.file("trace.json")))
        let events = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        var rows: [[Int]: [Slice]] = [:]
        for event in events where event["ph"] as? String == "X" {
            let row = [try #require(event["pid"] as? Int), try #require(event["tid"] as? Int)]
            let start = try #require(event["ts"] as? Double)
            rows[row, default: []].append(
                Slice(
                    name: try #require(event["name"] as? String), category: try #require(event["cat"] as? String),
                    start: start, end: start + (try #require(event["dur"] as? Double))))
        }
        return rows
    }

    /// Names of the steps in a trace of a run of `steps` steps that stops early if told to.
    private func tracedSteps(_ steps: Int, stopAfter: Int? = nil) throws -> (steps: [String], warnings: [String]) {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.steps = steps
        configuration.warmupSteps = 1
        configuration.stopAfter = stopAfter
        configuration.trace = FilePath(directory.file("trace.json"))
        let reporter = RecordingReporter()
        try train(configuration, ranks: 2, reporter: reporter)
        let data = try Data(contentsOf: URL(fileURLWithPath: directory.file("trace.json")))
        let events = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        let own = events.filter { $0["cat"] as? String == "step" && $0["pid"] as? Int == 0 }
        return (own.compactMap { $0["name"] as? String }, reporter.warnings)
    }

    @Test("S11: a short run, and one that stops early, write the steps that they have")
    func fewStepsAreTracedToo() throws {
        #expect(try tracedSteps(1).steps == ["step 1"])
        #expect(try tracedSteps(2).steps == ["step 1", "step 2"])
        #expect(try tracedSteps(4).steps == ["step 2", "step 3", "step 4"])
        #expect(try tracedSteps(9).steps == ["step 3", "step 4", "step 5"])
        #expect(try tracedSteps(9, stopAfter: 4).steps == ["step 3", "step 4"])
        let none = try tracedSteps(9, stopAfter: 2)
        #expect(none.steps.isEmpty)
        #expect(none.warnings.contains { $0.hasPrefix("nothing was traced") }, "\(none)")
    }

    @Test("S11: a trace that cannot be written is found before the first step")
    func aTraceThatCannotBeWritten() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.trace = FilePath(directory.file("nowhere/trace.json"))
        let error = #expect(throws: AgreedError.self) { try train(configuration, ranks: 1) }
        #expect(error?.exitCode == 73)
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
    }

    @Test(arguments: [1, 2])
    func oneRowARankWithSlicesInsideOneAnother(ranks: Int) throws {
        let rows = try rows(ranks: ranks)
        #expect(Set(rows.keys) == Set((0..<ranks).map { [$0, 0] }))
        for slices in rows.values {
            // A nanosecond of slack: times are written as decimal fractions of microseconds.
            let slack = 0.001
            var open: [Slice] = []
            for slice in slices {
                while let last = open.last, last.end <= slice.start + slack { open.removeLast() }
                if let last = open.last {
                    #expect(slice.start >= last.start - slack && slice.end <= last.end + slack, "\(slice) in \(last)")
                }
                open.append(slice)
            }
            func names(_ category: String) -> [String] { slices.filter { $0.category == category }.map(\.name) }
            #expect(names("step") == ["step 3", "step 4", "step 5"])
            // Two micro-batches of each rank at two ranks, four at one.
            let microBatches = 3 * 4 / ranks
            #expect(
                names("phase")
                    == (0..<3).flatMap { _ in
                        (0..<4 / ranks).flatMap { _ in ["forward", "head", "backward"] } + ["update"]
                    })
            #expect(names("layer").filter { $0 == "h.0" }.count == 2 * microBatches)
            #expect(names("work").filter { $0 == "mlp in dw" }.count == 2 * microBatches)
            #expect(Set(names("bucket")).isEmpty == (ranks == 1))
        }
        // Every bucket of the arena is there, on both ranks.
        if ranks == 2 {
            let buckets = rows.values.map { Set($0.filter { $0.category == "bucket" }.map(\.name)) }
            #expect(buckets[0] == buckets[1])
            #expect(buckets[0] == Set((0..<buckets[0].count).map { "bucket \($0)" }))
            #expect(buckets[0].count > 3)
        }
    }

    /// AdamW for the rest, then of each of the eight matrices the momentum, the products and the pass over the weights.
    @Test func theWorkOfMuon() throws {
        let work = try rows(ranks: 1, microBatch: 4, optimizer: "muon")[[0, 0]]?.filter { $0.category == "work" }
        let names = (work ?? []).map(\.name)
        let update = try #require(names.split(separator: "gradient norm").last)
        #expect(
            Array(update) == ["optimizer"] + (0..<8).flatMap { _ in ["optimizer", "Newton-Schulz", "optimizer"] })
    }

    /// One micro-batch on one rank: every piece of work in its order.
    @Test func theWorkOfAStep() throws {
        let work = try rows(ranks: 1, microBatch: 4)[[0, 0]]?.filter { $0.category == "work" }.map(\.name)
        let forward = ["norm", "qkv", "attention", "attention out", "norm", "mlp in", "activation", "mlp out"]
        let backward = [
            "mlp out dx", "activation", "mlp out dw", "reduction", "mlp in dx", "norm", "mlp in dw", "reduction",
            "attention out dx", "attention out dw", "reduction", "attention", "bias gradient", "qkv dx", "norm",
            "qkv dw", "reduction",
        ]
        let step =
            ["data", "embedding"] + forward + forward
            + ["norm", "head", "cross-entropy", "head dx", "head dw", "norm", "reduction"] + backward
            + backward
            + ["embedding", "reduction", "waiting", "waiting", "gradient norm", "optimizer"]
        #expect(work == step + step + step)
    }
}
