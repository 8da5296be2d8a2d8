import Foundation
import TestSupport
import Testing
import Training

extension EndToEnd {
    @Suite(.serialized) struct BenchTests {
        static let small = [
            "bench", "--layers", "1", "--heads", "1", "--embedding-size", "16", "--context-length", "16",
            "--vocab-size",
            "64", "--micro-batch", "1", "--threads", "1", "--json",
        ]

        /// Both are children of this process, as two of one shell would be; the folder's name is a pattern.
        @Test("P9: two benchmarks of one shell leave each other's files alone, and none behind")
        func twoAtOnce() throws {
            let workspace = try Workspace()
            let temporary = workspace.file("tmp")
            try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
            let both = try (0..<2).map { _ in
                try Subprocess(
                    workspace.executable, Self.small + ["--steps", "2"], environment: ["TMPDIR": temporary + "/"])
            }
            for outcome in both.map({ $0.wait(timeout: 120) }) {
                #expect(outcome.status == 0, "\(outcome)")
                #expect(outcome.standardOutput.contains("\"modelFlopsUtilization\""))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: temporary).isEmpty)
        }

        /// In one step every median is of one number: what follows from what holds to the last digits.
        @Test("M: the figures of two ranks follow from each other")
        func figures() throws {
            let outcome = try Workspace().run(Self.small + ["--steps", "1"], ranks: 2, timeout: 240)
            #expect(outcome.status == 0, "\(outcome)")
            let report = try JSONDecoder().decode(Benchmark.Report.self, from: Data(outcome.standardOutput.utf8))
            #expect(report.ranks == 2 && report.threadsPerRank == 1 && report.steps == 1 && report.globalBatch == 2)
            let ceiling = try #require(report.ceilings.matmulTogether[report.precision])
            let share = report.modelGigaflops / (2 * ceiling)
            #expect((report.modelFlopsUtilization / share - 1).magnitude < 1e-9, "\(outcome)")
            #expect((report.tokensPerSecond * report.stepMilliseconds / (2 * 16 * 1000) - 1).magnitude < 1e-9)
            #expect(report.ceilings.reductionGigabytes != nil)
            #expect(report.optimizer == "adamw" && report.newtonSchulzShare == nil)
            // The program with its libraries; no process of this size has gigabytes.
            #expect((10...5000).contains(report.peakMemoryMegabytes), "\(outcome)")
        }

        /// Two ranks that share the matrices: the parts of the update are named, in both forms, and add up.
        @Test("the update's parts with Muon", arguments: [1, 2]) func muon(ranks: Int) throws {
            let json = try Workspace().run(
                [
                    "bench", "--layers", "2", "--heads", "2", "--embedding-size", "64", "--context-length", "16",
                    "--vocab-size", "64", "--micro-batch", "1", "--threads", "1", "--optimizer", "muon",
                    "--muon-precision", "fp32", "--steps", "1", "--json",
                ], ranks: ranks, timeout: 240)
            #expect(json.status == 0, "\(json)")
            let report = try JSONDecoder().decode(Benchmark.Report.self, from: Data(json.standardOutput.utf8))
            let names = report.breakdown.parts.map(\.name)
            #expect(names.contains("optimizer") && names.contains("Newton-Schulz"), "\(names)")
            #expect(names.contains("matrix exchange") == (ranks == 2), "\(names)")
            let share = try #require(report.newtonSchulzShare)
            #expect(report.optimizer == "muon" && report.muonPrecision == "fp32")
            #expect(share > 0 && share < report.optimizerShare && report.optimizerShare < 1, "\(json)")
            #expect(report.text.contains("% of a step (muon), Newton-Schulz "))
        }

        @Test("T2: a step of more sequences than there can be is refused by the options that make it")
        func tooManySequences() throws {
            let outcome = try Workspace().run(
                ["bench", "--micro-batch", "16777216", "--accumulation", "2"], ranks: 1)
            #expect(outcome.status == 64, "\(outcome)")
            #expect(
                outcome.errorLines.first?.contains("--micro-batch 16777216 × --accumulation 2 × 1 ranks are more")
                    == true)
        }
    }
}
