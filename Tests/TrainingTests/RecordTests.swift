import Basics
import Checkpointing
import Collectives
import Foundation
import Synchronization
import Testing
import Training

/// What a run writes down about itself, number by number: the fields that no comparison of two runs would miss, because
/// both would have them wrong.
@Suite struct RecordTests {
    /// Steps of 60 sequences over 256 a epoch: every few steps an epoch ends in the middle of one; of 64, with one.
    private func configuration(_ directory: TemporaryDirectory, batch: Int = 60) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(
            runDirectory: directory.file("run"), microBatch: batch == 60 ? 6 : 8)
        configuration.globalBatch = batch
        configuration.shuffle = true
        configuration.steps = 12
        configuration.warmupSteps = 3
        configuration.checkpointInterval = 1
        configuration.keep = 100
        return configuration
    }

    private func states(_ directory: TemporaryDirectory, _ steps: Range<Int>) throws -> [TrainerState] {
        try steps.map {
            try Checkpoint(verifying: FilePath(directory.file("run/checkpoints/") + CheckpointName.directory(step: $0)))
                .state
        }
    }

    @Test(
        "M: epoch, position and tokens of every state and of every line of metrics",
        arguments: [(1, 60), (2, 60), (1, 64), (2, 64)])
    func whereARunStands(ranks: Int, batch: Int) throws {
        let directory = try TemporaryDirectory()
        let configuration = try configuration(directory, batch: batch)
        try train(configuration, ranks: ranks)
        let metrics = try metricsFields(directory.file("run"))
        #expect(metrics.count == 12)
        for (index, state) in try states(directory, 1..<13).enumerated() {
            let step = index + 1
            #expect(state.step == step && state.optimizer.step == step && state.scheduler.step == step)
            #expect(state.position == batch * step)
            // Where the next update begins, from 0; the line is about the last sequence that was used, from 1.
            #expect(state.epoch == batch * step / 256, "step \(step)")
            #expect(metrics[index]["epoch"] == "\((batch * step - 1) / 256 + 1)", "step \(step)")
            #expect(state.tokensSeen == batch * step * 16)
            #expect(metrics[index]["tokens"] == "\(batch * step * 16)")
            #expect(metrics[index]["step"] == "\(step)")
            #expect(metrics[index]["lr"] == "\(state.scheduler.nextLearningRate)")
        }
        #expect(Set(metrics.map { $0["epoch"] }).count == 3)
    }

    @Test("M: a state holds the options that made it")
    func theStatesConstants() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.steps = 1
        configuration.warmupSteps = 0
        configuration.optimizer.beta1 = 0.81
        configuration.optimizer.beta2 = 0.92
        configuration.optimizer.epsilon = 1e-7
        configuration.optimizer.weightDecay = 0.03
        configuration.gradClip = 0.5
        configuration.seed = 99
        configuration.reduction = .mpi
        configuration.threads = 2
        try train(configuration, ranks: 1)
        let state = try states(directory, 1..<2)[0]
        #expect(state.optimizer.hyperparameters == configuration.optimizer && state.optimizer.gradientClip == 0.5)
        #expect(state.seed == 99 && state.shuffle && state.contextLength == 16)
        #expect(state.globalBatch == 60 && state.microBatch == 6)
        #expect(state.precision == "fp32" && state.reduction == "mpi" && state.threadsPerRank == 2)
        #expect(state.swiftletVersion == swiftletVersion)
        #expect(state.worldSize == nil, "a state does not depend on the number of ranks")
    }

    /// After one update m = (1 − β₁)g and v = (1 − β₂)g².
    @Test("M: the optimizer's file has the first moments and the second ones under their names")
    func moments() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.steps = 1
        configuration.warmupSteps = 0
        configuration.optimizer.beta1 = 0.75
        configuration.optimizer.beta2 = 0.5
        try train(configuration, ranks: 1)
        let path = FilePath(directory.file("run/checkpoints/step-00000001/optimizer.safetensors"))
        let file = try SafetensorsFile(path: path)
        let names = file.tensors.map(\.name).filter { $0.hasPrefix("exp_avg.transformer.") }
        #expect(names.count == 28 && file.tensors.count == 56)
        var nonzero = 0
        for name in names {
            let second = "exp_avg_sq." + name.dropFirst("exp_avg.".count)
            let m = try file.floats(#require(file.tensor(name)))
            let v = try file.floats(#require(file.tensor(second)))
            nonzero += v.count { $0 > 0 }
            #expect(zip(m, v).allSatisfy { ($1 - 8 * $0 * $0).magnitude <= 1e-5 * $1 }, "\(name)")
        }
        #expect(nonzero > 20_000)
    }

    /// The rate rises until the loss does: best, newest and first are three numbers.
    @Test("M: the best validation loss is the smallest so far, also through a resume", arguments: [1, 2])
    func bestAndNewest(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.validationData = FilePath(Curve.tokens)
        configuration.evalInterval = 1
        configuration.learningRate = 0.4
        configuration.warmupSteps = 12
        configuration.stopAfter = 5
        #expect(try train(configuration, ranks: ranks) == .stopped)
        configuration.stopAfter = nil
        try train(configuration, ranks: ranks)
        let losses = try metricsFields(directory.file("run")).map { try #require(Double($0["val_loss"] ?? "")) }
        let states = try states(directory, 1..<13)
        for (index, state) in states.enumerated() {
            #expect(state.lastValidationLoss == losses[index], "step \(index + 1)")
            #expect(state.bestValidationLoss == losses[...index].min(), "step \(index + 1)")
        }
        let best = try #require(states.last?.bestValidationLoss)
        #expect(best < losses[0] && best < losses[11] && losses[6...].contains { $0 > best }, "\(losses)")
    }

    /// A clock that goes on by 10 ms at every look, then by 20, 30 …: two looks a step.
    @Test("M: the speed of a step, of the steps between two log lines, and the time left")
    func speeds() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.steps = 6
        configuration.checkpointInterval = 100
        configuration.logInterval = 3
        let reporter = ProgressReporter()
        let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: reporter)
        let time = Mutex<(now: UInt64, looks: UInt64)>((0, 0))
        trainer.clock = {
            time.withLock { time in
                time.looks += 1
                time.now += (time.looks + 1) / 2 * 10_000_000
                return time.now
            }
        }
        _ = try trainer.run()
        // Look 2k − 1 starts step k, look 2k ends it: 10 · k ms.
        let metrics = try metricsFields(directory.file("run"))
        let tokens = 60.0 * 16
        for step in 1...6 {
            #expect(metrics[step - 1]["step_ms"] == "\(10.0 * Double(step))")
            #expect(metrics[step - 1]["tokens_per_second"] == "\(tokens / (0.01 * Double(step)))")
        }
        let speeds = reporter.lines.compactMap { $0.firstMatch(of: #/ (\d+) tok/s$/#)?.1 }
        // 10 + 20 + 30 ms, and 40 + 50 + 60 ms.
        #expect(speeds == ["\(Int(3 * tokens / 0.06))", "\(Int(3 * tokens / 0.15))"])
        #expect(reporter.progress.map(\.step) == Array(1...6))
        #expect(reporter.steps == [6, 6, 6, 6, 6, 6])
        for progress in reporter.progress {
            let seconds = 0.01 * Double(progress.step)
            #expect((progress.measured.milliseconds - 1000 * seconds).magnitude < 1e-9)
            #expect((progress.measured.tokensPerSecond - tokens / seconds).magnitude < 1e-6)
        }
    }

    /// Steps of 10 and 20 ms, and a stop in the evaluation after the second. A process is asked to stop once, so this
    /// takes one of its own.
    @Test("M: a step whose evaluation is made up at a resume has its own speed")
    func speedAfterAStop() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("run")
        await #expect(processExitsWith: .success) { [path = path as String] in
            let trainer = try Trainer(evaluated(path), communicator: SingleProcess(), reporter: SilentReporter())
            var (now, looks): (UInt64, UInt64) = (0, 0)
            trainer.clock = {
                looks += 1
                now += (looks + 1) / 2 * 10_000_000
                if looks == 4 { StopRequest.set() }
                return now
            }
            #expect(try trainer.run() == .stopped)
        }
        let reporter = RecordingReporter()
        #expect(try train(evaluated(path), ranks: 1, reporter: reporter) == .finished)
        let line = try #require(reporter.lines.first { $0.hasPrefix("epoch ") })
        #expect(line.contains("  step 2 / 4  ") && line.contains("  val loss "), "\(line)")
        #expect(line.hasSuffix("  3200 tok/s"), "\(line)")
        let metrics = try metricsFields(path)
        #expect(metrics.map { $0["step"] } == ["1", "2", "3", "4"])
        #expect(metrics[1]["step_ms"] == "20.0" && metrics[1]["tokens_per_second"] == "3200.0", "\(metrics[1])")
    }
}

/// Four steps of 64 tokens, with an evaluation after the second and the last.
private func evaluated(_ path: String) throws -> TrainingConfiguration {
    var configuration = try Curve.configuration(runDirectory: path)
    configuration.validationData = FilePath(Curve.tokens)
    configuration.evalSequences = 4
    configuration.evalInterval = 2
    configuration.logInterval = 1
    configuration.steps = 4
    configuration.warmupSteps = 1
    return configuration
}

/// Keeps the log lines and the live display's numbers.
private final class ProgressReporter: Reporter {
    private(set) var lines: [String] = []
    private(set) var progress: [StepMetrics] = []
    private(set) var steps: [Int] = []
    func line(_ text: String) { lines.append(text) }
    func warning(_ text: String) {}
    func progress(_ moment: RunMoment) {
        progress.append(moment.metrics)
        steps.append(moment.steps)
    }
}
