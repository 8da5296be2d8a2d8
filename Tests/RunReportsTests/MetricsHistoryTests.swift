import Basics
import Foundation
import RunReports
import Testing

/// What is kept of `metrics.jsonl`, at any size and on any number of threads.
@Suite struct MetricsHistoryTests {
    private let fixture: RunFixture

    init() throws { fixture = try RunFixture() }

    @Test func aShortRunKeepsEveryPoint() throws {
        try fixture.run("run", steps: 100)
        let metrics = try fixture.history("run")
        let loss = try #require(metrics.series[.trainLoss])
        #expect(metrics.lineCount == 100 && metrics.strangeLines == 0)
        #expect(loss.points.map(\.step) == Array(1...100))
        #expect(loss.points.map(\.value) == (1...100).map { Float(1 + 1 / Double($0)) })
        #expect(metrics.series[.validationLoss]?.points.map(\.step) == Array(stride(from: 10, through: 100, by: 10)))
        #expect(metrics.series[.muonLearningRate] == nil)
        #expect(metrics.tokens.last == 1000 && ((metrics.hours.last ?? 0) * 3600 - 50).magnitude < 1e-9)
    }

    @Test("a spike of one step in 30,000, both ends and every part's mean stay", arguments: [1, 2, 5])
    func thinning(threads: Int) throws {
        let steps = 30_000
        func loss(_ step: Int) -> Double { step == 12_345 ? 99 : step == 23_456 ? -7 : 2 + Double(step % 10) / 10 }
        try fixture.run("run", steps: steps) { "\(loss($0))" }
        let metrics = try fixture.history("run", parts: 200, threads: threads)
        let series = try #require(metrics.series[.trainLoss])
        #expect(series.points.count <= 402 && series.points.count > 350)
        #expect(series.points.contains { $0.step == 12_345 && $0.value == 99 })
        #expect(series.points.contains { $0.step == 23_456 && $0.value == -7 })
        #expect(series.points.first?.step == 1 && series.points.last?.step == UInt32(steps))
        #expect(series.points == series.points.sorted { $0.step < $1.step })
        #expect(metrics.lineCount == steps && metrics.counts.reduce(0, +) == UInt32(steps))
        #expect(metrics.steps.last == UInt32(steps) && metrics.stepTimes.counts.reduce(0, +) == UInt32(steps))
        // The parts are whole: their means are those of the steps between their ends.
        var before = 0
        for (index, last) in metrics.steps.enumerated() {
            let own = (before + 1...Int(last)).map(loss)
            #expect(metrics.counts[index] == UInt32(own.count))
            #expect((Double(series.means[index]) - own.reduce(0, +) / Double(own.count)).magnitude < 1e-5)
            before = Int(last)
        }
        #expect((try #require(metrics.stepTimes.quantile(0.5)) / 500 - 1).magnitude < 0.1)
    }

    /// Whatever the number of parts, each line is in one of them.
    @Test func everyCutOfTheFile() throws {
        try fixture.run("run", steps: 60)
        for parts in 1...300 {
            let metrics = try fixture.history("run", parts: parts)
            #expect(metrics.lineCount == 60 && metrics.strangeLines == 0, "\(parts)")
            #expect(metrics.series[.trainLoss]?.points.first?.step == 1, "\(parts)")
            #expect(metrics.steps == metrics.steps.sorted(), "\(parts)")
        }
    }

    @Test func whatIsNotANumberIsMarked() throws {
        try fixture.run("run", steps: 50) { $0 == 20 ? "null" : "1.5" }
        let series = try #require(try fixture.history("run").series[.trainLoss])
        #expect(series.missing == [20] && series.points.count == 49)
    }

    @Test func aTornLastLineIsLeftOut() throws {
        let path = try fixture.run("run", steps: 5)
        let text = try String(contentsOfFile: path.string + "/metrics.jsonl", encoding: .utf8)
        for cut in [text.dropLast(), text.dropLast(40), text.dropLast(100)] {
            try fixture.write("run/metrics.jsonl", String(cut))
            for parts in [1, 4, 2000] {
                let metrics = try fixture.history("run", parts: parts)
                #expect(metrics.lineCount == 4 && metrics.strangeLines == 0)
            }
        }
    }

    @Test("lines of another form are read too, and what is no step is counted") func otherLines() throws {
        let long = String(repeating: "x", count: 30_000)
        try fixture.write(
            "run/metrics.jsonl",
            """
            {"step":1,"train_loss":1.0,"step_ms":1}
            {"train_loss" : 2.5, "step" : 2, "note":"\(long)\\n"}
            {"step":3,"train_loss":3.0,"step_ms":1}

            what is this
            {"step":0,"train_loss":3.0}
            {"step":4,"train_loss":4.0,"step_ms":1}

            """)
        for parts in [1, 3, 50, 2000] {
            let metrics = try fixture.history("run", parts: parts)
            #expect(metrics.lineCount == 4, "\(parts)")
            #expect(metrics.strangeLines == 3, "\(parts)")
            // More parts than lines: every point is there.
            if parts >= 50 { #expect(metrics.series[.trainLoss]?.points.map(\.value) == [1, 2.5, 3, 4], "\(parts)") }
        }
    }

    @Test func quantilesOfSteps() throws {
        try fixture.write(
            "run/metrics.jsonl",
            (1...1000).map { "{\"step\":\($0),\"train_loss\":1,\"step_ms\":\($0 % 100 == 0 ? 800 : 10)}\n" }.joined())
        let times = try fixture.history("run").stepTimes
        for (share, expected) in [(0.5, 10.0), (0.9, 10), (0.995, 800)] {
            #expect((try #require(times.quantile(share)) / expected - 1).magnitude < 0.1, "\(share)")
        }
    }
}
