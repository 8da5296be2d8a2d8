import Basics
import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// What a plan warns of, each with a value on either side of its limit.
@Suite struct PlanWarningsTests {
    private func warnings(
        ranks: Int? = nil, fileSystem: any FileSystem = LocalFileSystem(), machine: Machine = Machine(),
        _ change: (inout TrainingConfiguration) throws -> Void
    ) throws -> [String] {
        var configuration = try PlanTests.configuration("")
        try change(&configuration)
        var options = RunPlan.Options()
        (options.measures, options.ranks) = (false, ranks)
        return try RunPlan.make(
            configuration, options, communicator: SingleProcess(), fileSystem: fileSystem, machine: machine
        ).warnings
    }

    /// Options with their values, and the start of the warning that they bring; nil: none that contains the second text.
    @Test(
        "what looks wrong is a line with value, limit and advice",
        arguments: [
            (["steps=50"], true, "the run has 0.34 tokens a parameter, about 20 are"),
            (["steps=2919"], true, "the run has 19.99 tokens"), (["steps=2920"], false, "tokens a parameter"),
            (["steps=86"], true, "the run reads its text 4.0 times"), (["steps=85"], false, "the run reads its text"),
            (["vocab-size=82"], true, "the text has 50.0 tokens for each of the 82 of the vocabulary"),
            (["vocab-size=81"], false, "of the vocabulary"),
            (
                ["warmup-steps=17"], true,
                "the warm-up of 17 steps is more than a third of 50 steps; give --warmup-steps 16"
            ),
            (["warmup-steps=50"], true, "the warm-up of 50 steps is as long as the run of 50 steps"),
            (["warmup-steps=16"], false, "the warm-up of"),
            (
                ["learning-rate=0.049"], true,
                "--learning-rate 0.049 is far above what AdamW at a width of 32 bears; give 0.024"
            ),
            (["learning-rate=0.047"], false, "is far above"),
            (["learning-rate=0.119", "optimizer=muon"], false, "is far above"),
            (["learning-rate=0.121", "optimizer=muon"], true, "--learning-rate 0.121 is far above"),
            (["optimizer=muon", "muon-learning-rate=0.2"], true, "--muon-learning-rate 0.2 is far above 0.04"),
            (["optimizer=muon", "muon-learning-rate=0.1"], false, "is far above"),
            (
                ["eval-interval=4"], true,
                "evaluations take 13 % of the time, 10 % are enough; give an --eval-interval of 6"
            ),
            (["eval-interval=6"], false, "evaluations take"),
            (
                ["eval-sequences=257", "eval-interval=50"], true,
                "--val-data has 256 sequences, --eval-sequences asks for 257"
            ),
            (["eval-sequences=256", "eval-interval=50"], false, "--val-data has"),
            (
                ["global-batch=11"], true,
                "--global-batch 11 is not a multiple of --micro-batch 3 × 1 rank = 3; nearest valid"
            ),
            (["global-batch=2"], true, "--global-batch 2 is not a multiple"),
        ] as [([String], Bool, String)])
    func limits(options: [String], warns: Bool, text: String) throws {
        let said = try warnings { configuration in
            for option in options {
                let parts = option.split(separator: "=").map(String.init)
                try configuration.set(parts[0], parts[1])
            }
        }
        #expect(said.contains { warns ? $0.hasPrefix(text) : $0.contains(text) } == warns, "\(said)")
    }

    @Test("a batch that does not divide is planned as the next one below that does") func division() throws {
        for (global, planned) in [(11, 9), (2, 3)] {
            let said = try warnings { $0.globalBatch = global }
            #expect(said.contains { $0.hasSuffix("; planned with --global-batch \(planned)") }, "\(said)")
        }
    }

    @Test("a given model has had its tokens, and bears lower rates") func givenModel() throws {
        func said(_ rate: Double) throws -> [String] {
            try warnings { configuration in
                configuration = try Curve.configuration(runDirectory: "none")
                configuration.learningRate = rate
            }
        }
        #expect(try !said(0.0095).contains { $0.contains("tokens a parameter") || $0.contains("far above") })
        #expect(try said(0.0097).contains { $0.contains("a width of 32 and weights that are trained already bears") })
    }

    @Test("checkpoints that do not fit on the disk are a warning") func disk() throws {
        // 12 bytes a parameter and the heads of two files, three times.
        for (room, isEnough) in [(12 * PlanTests.parameters * 3, false), (13 * PlanTests.parameters * 3, true)] {
            let disk = FaultyFileSystem(room: { room })
            let said = try warnings(fileSystem: disk) { $0.runDirectory = "/nowhere/at/all" }
            #expect(said.contains { $0.contains("are free where the run is to be") } == !isEnough, "\(room): \(said)")
        }
    }

    @Test("memory that does not suffice is a warning, and nothing is measured") func memory() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory.file("proc"), withIntermediateDirectories: true)
        let text = "MemAvailable: \((100 << 20) / 1024) kB\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory.file("proc/meminfo")))
        var configuration = try PlanTests.configuration("")
        (configuration.microBatch, configuration.globalBatch) = (1200, 1200)
        let plan = try RunPlan.make(
            configuration, RunPlan.Options(), communicator: SingleProcess(), machine: Machine(root: directory.path))
        #expect(plan.unmeasured == "there is not enough memory" && plan.time == nil)
        #expect(plan.warnings.contains { $0.hasPrefix("this needs ") && $0.contains("the largest --micro-batch that") })
    }

    @Test("more ranks than processors are a warning") func ranks() throws {
        let many = Machine().processors + 1
        let said = try warnings(ranks: many) { configuration in
            (configuration.microBatch, configuration.globalBatch, configuration.threads) = (1, many, nil)
        }
        #expect(said.contains { $0.hasPrefix("\(many) ranks of 1 thread") }, "\(said)")
    }
}
