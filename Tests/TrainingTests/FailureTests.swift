import Basics
import Checkpointing
import Collectives
import Foundation
import Kernels
import TestSupport
import Testing
import Training
import Transformer

/// What goes wrong in the middle of a run: every rank stops with the same verdict, and nothing that was saved changes.
@Suite struct FailureTests {
    private func verdicts<Value>(_ outcomes: [Result<Value, any Error>]) -> [AgreedError?] {
        outcomes.map { outcome in
            if case .failure(let error) = outcome { error as? AgreedError } else { nil }
        }
    }

    /// Puts a value into a tensor's first element, as a broken memory would.
    private static func spoil(_ model: any LanguageModel, _ name: String, with value: Float? = nil) {
        guard let parameter = model.layout.parameters.first(where: { $0.name == name }) else {
            Issue.record("no tensor \(name)")
            return
        }
        let old = model.weights.array(parameter.range)[0]
        model.weights.set([value ?? Float(bitPattern: old.bitPattern ^ 1)], at: parameter.offset)
        model.refreshOperands()
    }

    @Test(arguments: [
        ("transformer.h.1.attn.c_attn.weight", "activation of h.1.attn.c_attn"),
        ("transformer.h.1.mlp.c_fc.bias", "activation of h.1.mlp.c_fc"),
        ("transformer.h.0.ln_2.weight", "activation of h.0.ln_2"),
        ("transformer.ln_f.bias", "activation of ln_f"),
        ("transformer.wpe.weight", "activation of embedding"),
    ])
    func debugNamesTheFirstLayerThatIsNotFinite(tensor: String, place: String) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.debug = true
        let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: SilentReporter())
        Self.spoil(trainer.model, tensor, with: .nan)
        do {
            _ = try trainer.run()
            Issue.record("the run went on")
        } catch {
            #expect(exitCode(of: error) == 79)
            #expect("\(error)".hasPrefix("step 1: the \(place) has "), "\(error)")
        }
        #expect(trainer.step == 0)
    }

    /// A row for each activation and gradient: mean, spread and largest value.
    @Test("W2: --debug shows the gradient of everything that it shows the activation of")
    func debugShowsEveryLayer() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"), microBatch: 4)
        configuration.debug = true
        configuration.stopAfter = 2
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        let rows = reporter.lines.filter { $0.hasPrefix("debug step 1  ") }
        for layer in ["embedding", "h.0.ln_1", "h.0.attn.c_attn", "h.1.attn.c_proj", "h.1.mlp.c_fc", "ln_f"] {
            #expect(rows.contains { $0.contains("  \(layer) ") && $0.contains(" activation ") }, "\(layer)")
        }
        func layers(_ tensor: String) -> Set<Substring> {
            Set(rows.filter { $0.contains(" \(tensor) ") }.compactMap { $0.split(separator: " ").dropFirst(3).first })
        }
        #expect(layers("activation").count == 2 + 7 * 2)
        #expect(layers("activation") == layers("gradient"))
        #expect(rows.allSatisfy { $0.contains(#/mean .*std .*max \|x\| /#) })
    }

    @Test("W2: --debug shows the first step and those that have a log line")
    func debugShowsTheStepsOfTheLog() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"), microBatch: 4)
        configuration.debug = true
        configuration.logInterval = 3
        configuration.stopAfter = 7
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        let steps = reporter.lines.compactMap { $0.firstMatch(of: #/^debug step (\d+) /#)?.1 }
        #expect(Set(steps) == ["1", "3", "6"])
    }

    @Test func debugIsForOneRank() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.debug = true
        let final = configuration
        let outcomes = ThreadWorld.outcomes(worldSize: 2) { communicator in
            _ = try Trainer(final, communicator: communicator, reporter: SilentReporter())
        }
        #expect(verdicts(outcomes).map { $0?.exitCode } == [64, 64])
    }

    /// One rank's loss is no number: all ranks stop at that step, none has updated anything.
    @Test(arguments: [2, 4])
    func aLossThatIsNotFiniteOnOneRankStopsAll(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        let configuration = try Curve.configuration(runDirectory: directory.file("run"))
        let outcomes = ThreadWorld.outcomes(worldSize: ranks) { communicator in
            let trainer = try Trainer(configuration, communicator: communicator, reporter: SilentReporter())
            _ = try trainer.trainingStep()
            if communicator.rank == 1 { Self.spoil(trainer.model, "transformer.h.1.ln_1.weight", with: .nan) }
            let before = trainer.model.weights.array().map(\.bitPattern)
            defer {
                #expect(trainer.model.weights.array().map(\.bitPattern) == before)
                #expect(trainer.step == 1)
            }
            _ = try trainer.trainingStep()
        }
        let verdicts = verdicts(outcomes)
        #expect(verdicts.allSatisfy { $0 != nil && $0 == verdicts[0] })
        #expect(verdicts[0]?.exitCode == 79)
        #expect(
            verdicts[0]?.description.contains(/^step 2: the loss is nan, first in the micro-batch of rank 1;/) == true
        )
    }

    /// A run that explodes ends with 79 and its last good checkpoint.
    @Test(arguments: [1, 2])
    func anExplodingRunKeepsItsCheckpoint(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.learningRate = 1e30
        configuration.warmupSteps = 0
        configuration.checkpointInterval = 1
        do {
            try train(configuration, ranks: ranks)
            Issue.record("the run went on")
        } catch {
            #expect(exitCode(of: error) == 79)
            #expect("\(error)".contains("no update was made"), "\(error)")
            // A warm-up of no steps is no way into another rate.
            #expect("\(error)".contains(" with a lower --learning-rate and --rewarm 1, or find "), "\(error)")
        }
        let (newest, warnings) = try CheckpointDirectory(path: FilePath(directory.file("run/checkpoints")))
            .newestVerified()
        let step = try #require(newest?.state.step)
        #expect(warnings.isEmpty)
        // Every line of the metrics is a step that was made, and the checkpoint is the last one's.
        #expect(try metricsFields(directory.file("run")).map { $0["step"] } == (1...step).map { "\($0)" })
    }

    /// At the next save, with one checkpoint to keep: the good one stays, and nothing of the other is left.
    @Test("S18: a state that is not finite is not saved", arguments: [1, 2])
    func aStateThatIsNotFiniteIsNotSaved(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.checkpointInterval = 2
        configuration.keep = 1
        let tensor = "transformer.wte.weight"
        let final = configuration
        let outcomes = ThreadWorld.outcomes(worldSize: ranks) { communicator in
            let trainer = try Trainer(final, communicator: communicator, reporter: SilentReporter())
            for step in 1...4 {
                _ = try trainer.trainingStep()
                if step == 4 { Self.spoil(trainer.model, tensor, with: .infinity) }
                if step % 2 == 0 { try trainer.save(mustSucceed: false) }
            }
        }
        let verdicts = verdicts(outcomes)
        #expect(verdicts.allSatisfy { $0 != nil && $0 == verdicts[0] })
        #expect(verdicts[0]?.exitCode == 79)
        let text = verdicts[0]?.description ?? ""
        #expect(
            text.hasPrefix("step 4: the weights are not finite, first in \(tensor), and were not saved; "), "\(text)")
        #expect(text.contains("go on from step-00000002 with a lower --learning-rate and --rewarm 10"), "\(text)")
        let found = try CheckpointDirectory(path: FilePath(directory.file("run/checkpoints"))).list()
        #expect(found.candidates.map(\.step) == [2])
        #expect(found.ignored == 0)
    }

    @Test(arguments: [
        "transformer.wte.weight", "transformer.h.1.mlp.c_fc.weight", "transformer.ln_f.bias",
    ])
    func aRankWithOneOtherBitIsFound(tensor: String) throws {
        let directory = try TemporaryDirectory()
        let configuration = try Curve.configuration(runDirectory: directory.file("run"))
        let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
            let trainer = try Trainer(configuration, communicator: communicator, reporter: SilentReporter())
            if communicator.rank == 2 { Self.spoil(trainer.model, tensor) }
            _ = try trainer.run()
        }
        let verdicts = verdicts(outcomes)
        #expect(verdicts.allSatisfy { $0 != nil && $0 == verdicts[0] })
        #expect(verdicts[0]?.exitCode == 80)
        #expect(verdicts[0]?.description.contains("first in \(tensor) (1 of 28 tensors)") == true)
        #expect(verdicts[0]?.description.contains("rank {2}") == true)
    }

    /// The comparison comes again every --fingerprint-interval steps.
    @Test func aBitThatTurnsDuringTheRunIsFound() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.fingerprintInterval = 3
        configuration.checkpointInterval = 2
        let final = configuration
        let outcomes = ThreadWorld.outcomes(worldSize: 2) { communicator in
            let reporter = Spoiler(afterCheckpoint: communicator.rank == 0)
            let trainer = try Trainer(final, communicator: communicator, reporter: reporter)
            reporter.action = { Self.spoil(trainer.model, "transformer.h.0.mlp.c_proj.weight") }
            defer { reporter.action = nil }
            _ = try trainer.run()
        }
        let verdicts = verdicts(outcomes)
        #expect(verdicts.allSatisfy { $0 != nil && $0 == verdicts[0] })
        #expect(verdicts[0]?.exitCode == 80)
        #expect(verdicts[0]?.description.hasPrefix("weights differ between ranks after step 3, ") == true)
    }

    /// Each of these changes what is computed, or when the ranks meet in a collective.
    @Test(arguments: [
        ("seed", "7"), ("micro-batch", "2"), ("learning-rate", "0.001"), ("steps", "60"), ("warmup-steps", "11"),
        ("schedule", "linear"), ("weight-decay", "0.2"), ("beta2", "0.99"), ("grad-clip", "2.0"),
        ("precision", "bf16"), ("reduction", "mpi"), ("overlap", "none"), ("eval-interval", "3"),
        ("eval-sequences", "3"),
        ("checkpoint-interval", "7"), ("fingerprint-interval", "7"), ("stop-after", "4"), ("threads", "2"),
        ("val-data", Curve.tokens),
    ])
    func aRankWithAnotherOptionIsFoundAtStart(name: String, value: String) throws {
        let directory = try TemporaryDirectory()
        let configuration = try Curve.configuration(runDirectory: directory.file("run"))
        var other = configuration
        try other.set(name, value)
        let changed = other
        let outcomes = ThreadWorld.outcomes(worldSize: 4) { communicator in
            _ = try Trainer(
                communicator.rank == 1 ? changed : configuration, communicator: communicator,
                reporter: SilentReporter()
            ).run()
        }
        let verdicts = verdicts(outcomes)
        #expect(verdicts.allSatisfy { $0 != nil && $0 == verdicts[0] })
        #expect(verdicts[0]?.exitCode == 78)
        #expect(verdicts[0]?.description.contains(name) == true, "\(String(describing: verdicts[0]))")
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
    }
}

/// Does something to the run once its first checkpoint is saved.
private final class Spoiler: Reporter {
    var action: (() -> Void)?
    private let isActive: Bool

    init(afterCheckpoint: Bool) { isActive = afterCheckpoint }

    func line(_ text: String) {
        guard isActive, text.hasPrefix("checkpoint saved") else { return }
        action?()
        action = nil
    }

    func warning(_ text: String) {}
}
