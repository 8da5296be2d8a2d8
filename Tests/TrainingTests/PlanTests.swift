import Basics
import Checkpointing
import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// What a plan says of a run, against numbers worked out by hand and against the run itself.
@Suite struct PlanTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// 4,097 tokens in 256 sequences of 16, a new model of width 32.
    static func configuration(_ run: String) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: "none", microBatch: 3)
        configuration.initFrom = nil
        configuration.runDirectory = FilePath(run)
        (configuration.vocabularySize, configuration.contextLength) = (64, 16)
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (2, 2, 32)
        (configuration.globalBatch, configuration.steps) = (12, 50)
        (configuration.evalInterval, configuration.checkpointInterval) = (7, 20)
        (configuration.validationData, configuration.evalSequences) = (FilePath(Curve.tokens), 20)
        return configuration
    }
    static let parameters = 64 * 32 + 16 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32

    private func plan(
        _ configuration: TrainingConfiguration, measures: Bool = false, ranks: Int? = nil,
        fileSystem: any FileSystem = LocalFileSystem(), machine: Machine = Machine()
    ) throws -> RunPlan {
        var options = RunPlan.Options()
        (options.measures, options.ranks) = (measures, ranks)
        return try RunPlan.make(
            configuration, options, communicator: SingleProcess(), fileSystem: fileSystem, machine: machine)
    }

    @Test("a plan has the numbers that follow from the options, and makes nothing") func numbers() throws {
        let plan = try plan(Self.configuration(directory.file("run")))
        #expect(plan.model.parameters == Self.parameters)
        #expect(plan.model.parametersWithoutEmbeddings == Self.parameters - (64 + 16) * 32)
        #expect(plan.length.tokensPerStep == 192 && plan.length.tokens == 9600 && plan.length.stepsDone == 0)
        #expect(plan.length.dataSequences == 256 && plan.length.epochs == 600.0 / 256)
        #expect(plan.length.tokensPerParameter == 9600 / Double(Self.parameters))
        #expect(plan.batch.accumulation == 4 && plan.batch.ranks == 1 && plan.batch.precision == "fp32")
        #expect(plan.memory.buffers == plan.memory.kinds.values.reduce(0, +))
        #expect(plan.memory.peak == plan.memory.buffers + plan.memory.program && plan.memory.program > 1 << 20)
        // After steps 7 to 49 and after the last one; saves after 20, 40 and 50.
        #expect(plan.evaluations?.count == 8 && plan.evaluations?.tokens == 320)
        #expect(plan.evaluations?.share == (160.0 / 3) / (160.0 / 3 + 600))
        #expect(plan.checkpoints.saves == 3 && plan.checkpoints.atOnce == 3)
        #expect(plan.checkpoints.diskBytes == 3 * plan.checkpoints.bytes)
        #expect(plan.time == nil && plan.unmeasured == "--no-measure")
        #expect((plan.rates.points[0] - Curve.base / 10).magnitude < 1e-12 && plan.rates.points.max() == Curve.base)
        #expect(plan.rates.points.count == 60 && plan.rates.muonPoints == nil)
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
    }

    @Test(
        "events come at multiples of their interval and at the end",
        arguments: [
            (7, 0, 50, 8), (10, 0, 50, 5), (10, 10, 50, 4), (10, 11, 50, 4), (100, 0, 50, 1), (7, 49, 50, 1),
            (1, 50, 50, 0),
        ])
    func events(interval: Int, start: Int, total: Int, count: Int) {
        #expect(RunPlan.events(each: interval, after: start, of: total) == count)
    }

    @Test("a plan says what the run says and does", arguments: [false, true]) func sameAsTheRun(hasMuon: Bool) throws {
        var configuration = try Self.configuration(directory.file("run"))
        if hasMuon { try configuration.set("optimizer", "muon") }
        let plan = try plan(configuration, measures: true)
        let reporter = RecordingReporter()
        let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: reporter)
        #expect(plan.memory.buffers == trainer.plannedBytes)
        _ = try trainer.run()
        let lines = reporter.lines
        #expect(lines.contains { $0.hasPrefix("model: gpt2, \(plan.model.parameters) parameters, 2 layers") })
        #expect(lines.contains { $0.contains("\(plan.length.dataSequences ?? 0) sequences, 21.3 steps") })
        #expect(
            lines.contains { $0.hasPrefix("batch: 12 sequences = \(plan.batch.accumulation) × 3 × 1 ranks, 192 t") })
        #expect(lines.filter { $0.contains("  val loss ") }.count == plan.evaluations?.count)
        #expect(lines.filter { $0.hasPrefix("checkpoint saved") }.count == plan.checkpoints.saves)
        let epoch = try #require(metricsFields(directory.file("run")).last?["epoch"])
        #expect(Double(epoch) == plan.length.epochs?.rounded(.up))
        let checkpoint = directory.file("run/checkpoints/" + CheckpointName.directory(step: 50))
        let sizes = try ["model.safetensors", "optimizer.safetensors"].map {
            try #require(FileManager.default.attributesOfItem(atPath: checkpoint + "/" + $0)[.size] as? Int)
        }
        #expect(plan.checkpoints.bytes == sizes[0] + sizes[1])
        let kept = try FileManager.default.contentsOfDirectory(atPath: directory.file("run/checkpoints"))
        #expect(kept.count == plan.checkpoints.atOnce)
        // A rate of nothing leaves no trace: what was measured is no part of the result.
        let time = try #require(plan.time)
        #expect(time.step > 0 && time.measuredSteps >= 3 && time.evaluation > 0 && time.checkpoint > 0)
        #expect(time.total > 50 * time.step && time.left == time.total)
        #expect(plan.rates.muonPoints?.count == (hasMuon ? 60 : nil))
        #expect(plan.memory.measuredPeak ?? 0 > plan.memory.buffers)
    }

    @Test("ranks that are there are measured, ranks that are not are counted") func ranks() throws {
        var configuration = try Self.configuration("")
        configuration.microBatch = 2
        (configuration.globalBatch, configuration.threads) = (16, 1)
        let final = configuration
        let measured = try ThreadWorld.run(worldSize: 2) { communicator in
            try RunPlan.make(final, RunPlan.Options(), communicator: communicator)
        }
        #expect(measured[0].batch.ranks == 2 && measured[0].batch.accumulation == 4)
        #expect(measured[0].time != nil && measured[0].time == measured[1].time)
        // The peak is what steps came to, not what is reserved.
        let memory = measured[0].memory
        #expect(memory.measuredPeak == memory.peak - (3 << 20))
        #expect(memory.program == max(0, memory.peak - memory.buffers))
        let counted = try plan(configuration, measures: true, ranks: 2)
        #expect(counted.memory.kinds == measured[0].memory.kinds && counted.batch == measured[0].batch)
        #expect(counted.memory.program > 20 << 20)
        #expect(counted.time == nil)
        #expect(counted.unmeasured?.hasPrefix("it is for 2 ranks and was started with 1; start it with launch") == true)
        let alone = try plan(configuration)
        #expect(alone.memory.kinds["reduction"] == nil && counted.memory.kinds["reduction"] ?? 0 > 0)
    }

    @Test("without data a plan has random tokens, and says what it needs") func withoutData() throws {
        var configuration = try Self.configuration("")
        (configuration.trainData, configuration.validationData) = ("", nil)
        let plan = try plan(configuration, measures: true)
        #expect(plan.length.epochs == nil && plan.length.dataTokens == nil && plan.length.tokens == 9600)
        #expect(plan.time != nil && plan.evaluations == nil && plan.checkpoints.freeBytes == nil)
        #expect(plan.text.contains("data          none given\n"))
        configuration.vocabularySize = nil
        let error = try #require(throws: AgreedError.self) { try self.plan(configuration) }
        #expect(error.exitCode == .usage && error.description.hasPrefix("--vocab-size is missing; give it, or --train"))
    }

    @Test("a measurement that fails is a line, and the plan stands") func failure() throws {
        var configuration = try Self.configuration("")
        configuration.vocabularySize = 10
        let plan = try plan(configuration, measures: true)
        #expect(plan.unmeasured?.hasPrefix("it failed: shard '") == true, "\(plan.unmeasured ?? "")")
        #expect(plan.unmeasured?.contains("but the vocabulary has 10 tokens") == true && plan.time == nil)
        #expect(plan.text.contains("time          not measured: it failed: shard '"))
    }

    @Test("a plan of a run that stopped says where it goes on, and leaves a run under way alone") func resume() throws {
        var configuration = try Self.configuration(directory.file("run"))
        configuration.stopAfter = 10
        try train(configuration, ranks: 1)
        configuration.stopAfter = nil
        let run = try RunDirectory(path: configuration.runDirectory)
        let before = try FileManager.default.subpathsOfDirectory(atPath: directory.file("run")).sorted()
        let plan = try plan(configuration, measures: true)
        #expect(plan.checkpoints.goesOnFrom == "step-00000010" && plan.length.stepsDone == 10)
        let time = try #require(plan.time)
        let rest = 40 * time.step + 7 * time.evaluation + 3 * time.checkpoint
        #expect((time.left / rest - 1).magnitude < 1e-9 && time.left < time.total)
        #expect(plan.text.contains("goes on       from step-00000010: 40 of 50 steps are left\n"))
        #expect(try FileManager.default.subpathsOfDirectory(atPath: run.path.shown).sorted() == before)
    }

    @Test("short sequences first are measured as such") func stages() throws {
        var configuration = try Self.configuration("")
        try configuration.set("sequence-warmup", "4:0.2,8:0.5")
        let time = try #require(plan(configuration, measures: true).time)
        #expect(time.measuredSteps >= 9)
        let saves = 3 * time.checkpoint + 8 * time.evaluation
        #expect((time.total / (50 * time.step + saves) - 1).magnitude < 1e-9)
    }

    @Test("the JSON is the whole plan") func json() throws {
        let plan = try plan(Self.configuration(directory.file("run")), measures: true)
        #expect(try JSONDecoder().decode(RunPlan.self, from: Data(plan.json.utf8)) == plan)
        let json = try JSON(Array(plan.json.utf8))
        let gradients = json["memory"]?["kinds"]?["gradients"]?.int ?? 0
        #expect((4 * Self.parameters..<4 * Self.parameters + 8192).contains(gradients))
    }

    @Test("a curve is drawn from 0 to its largest value, in eighths") func chart() {
        let lines = RunPlan.chart([0, 0.25, 0.5, 1], last: 1000, rows: 2)
        #expect(lines == ["    1.000000 ┤   █", "    0.000000 ┤ ▄██", "              1 1000 steps"])
        #expect(RunPlan.chart([0, 0], last: 2, rows: 1)[0] == "    0.000000 ┤")
    }

    @Test(arguments: [
        (0.001234, "1.23 ms"), (0.5, "500 ms"), (0.0512, "51.2 ms"), (12.34, "12.3 s"), (75, "1 min 15 s"),
        (3720, "1 h 2 min"), (90_000, "1 d 1 h"), (Double.infinity, "?"),
    ])
    func timesForPeople(seconds: Double, text: String) { #expect(durationText(seconds) == text) }
}
