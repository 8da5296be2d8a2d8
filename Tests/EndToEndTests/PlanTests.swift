import Foundation
import TestSupport
import Testing
import Training

extension EndToEnd {
    /// The command as people call it.
    @Suite(.serialized) struct PlanTests {
        private func planArguments(_ workspace: Workspace, _ run: String, _ more: [String] = []) -> [String] {
            ["plan"] + workspace.trainArguments(run, more).dropFirst()
        }

        @Test("the plan of a run, on one rank and two, is what the run then says", arguments: [1, 2])
        func sameAsTheRun(ranks: Int) throws {
            let workspace = try Workspace()
            let outcome = try workspace.run(planArguments(workspace, "run", ["--json"]), ranks: ranks)
            #expect(outcome.status == 0 && outcome.errorLines.isEmpty, "\(outcome)")
            #expect(!FileManager.default.fileExists(atPath: workspace.file("run")), "a plan made the run's directory")
            let plan = try JSONDecoder().decode(RunPlan.self, from: Data(outcome.standardOutput.utf8))
            #expect(plan.batch.ranks == ranks && plan.batch.accumulation == 4 / ranks && plan.time != nil)
            let run = try workspace.train("run", ranks: ranks)
            #expect(run.status == 0, "\(run)")
            #expect(run.lines.contains { $0.hasPrefix("model: gpt2, \(plan.model.parameters) parameters,") })
            #expect(
                run.lines.contains { $0.hasPrefix("batch: 8 sequences = \(4 / ranks) × 2 × \(ranks) ranks, 256 t") })
            #expect(run.lines.contains { $0.hasPrefix("data: \(plan.length.dataTokens ?? 0) tokens") })
            #expect(run.lines.filter { $0.hasPrefix("checkpoint saved ") }.count == plan.checkpoints.saves)
            let files = ["model.safetensors", "optimizer.safetensors", "tokenizer.json"].map {
                workspace.checkpoint("run", 20) + "/" + $0
            }
            let sizes = try files.map { try Data(contentsOf: URL(fileURLWithPath: $0)).count }
            #expect(plan.checkpoints.bytes == sizes.reduce(0, +))
        }

        /// In a process of its own: another test's memory would be in its peak.
        @Test("the peak is what the measured steps came to: what is reserved and not touched is not in memory")
        func measuredPeak() throws {
            let workspace = try Workspace()
            func memory(_ more: [String]) throws -> RunPlan.MemoryNeed {
                let outcome = try workspace.run(
                    [
                        "plan", "--json", "--layers", "4", "--heads", "4", "--embedding-size", "128", "--vocab-size",
                        "2048", "--context-length", "32", "--micro-batch", "1", "--global-batch", "4",
                        "--precision", "fp32", "--threads", "1",
                    ] + more, ranks: 4)
                return try JSONDecoder().decode(RunPlan.self, from: Data(outcome.standardOutput.utf8)).memory
            }
            let (measured, counted) = (try memory([]), try memory(["--no-measure"]))
            #expect(measured.measuredPeak == measured.peak - (3 << 20) && counted.measuredPeak == nil)
            // Of the 8 MiB of messages between ranks, the buckets of 4 MB of gradients touch less than half.
            #expect(counted.peak - measured.peak > 1 << 20, "\(counted.peak) counted, \(measured.peak) measured")
        }

        @Test("a plan needs no run directory and no data, reads --config, and is text without --json")
        func alone() throws {
            let workspace = try Workspace()
            let file = try workspace.write("config.yaml", "layers: 1\nheads: 1\nembedding-size: 16\n".utf8)
            let outcome = try workspace.run([
                "plan", "--config", file, "--vocab-size", "64", "--context-length", "16", "--ranks", "4",
                "--micro-batch", "4",
            ])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.first?.hasPrefix("model         gpt2, 4592 parameters, 3312 without") == true)
            #expect(outcome.lines.contains { $0.hasPrefix("time          not measured: it is for 4 ranks") })
            #expect(outcome.lines.contains { $0.hasPrefix("batch         16 sequences = ") })
        }

        @Test("a plan takes the environment, as train does") func environment() throws {
            let workspace = try Workspace()
            let outcome = try Subprocess(
                workspace.executable,
                ["plan", "--no-measure", "--vocab-size", "64", "--context-length", "16", "--precision", "fp32"],
                environment: ["SWIFTLET_LAYERS": "3"]
            ).wait(timeout: 120)
            #expect(outcome.status == 0 && outcome.lines.first?.contains(" 3 layers, ") == true, "\(outcome)")
            #expect(outcome.lines.contains("note: from the environment: SWIFTLET_LAYERS=3"), "\(outcome)")
        }

        @Test(
            "what a plan cannot plan is one line",
            arguments: [
                (["plan"], 64, "--vocab-size is missing"),
                (["plan", "--vocab-size", "64", "--heads", "5"], 64, "384"),
                (
                    ["plan", "--vocab-size", "64", "--ranks", "0"], 64,
                    "--ranks is '0', expected a whole number from 1 to 4096"
                ),
                (["plan", "--train-data", "nothing_*.bin"], 66, "no shard matches"),
            ] as [([String], Int32, String)])
        func refusals(arguments: [String], code: Int32, text: String) throws {
            let outcome = try Workspace().run(arguments)
            #expect(outcome.status == code && outcome.standardOutput.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.count == 1 && outcome.errorLines[0].contains(text), "\(outcome)")
        }
    }
}
