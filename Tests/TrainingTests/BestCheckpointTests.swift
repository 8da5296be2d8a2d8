import Basics
import Checkpointing
import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// `--keep-best` and `--stop-after-no-improvement`, against what the losses of a run that has neither say.
@Suite struct BestCheckpointTests {
    private static let steps = 12

    /// The rate rises until the loss goes up and down: most losses are lower than all before, and some not.
    private func configuration(_ directory: TemporaryDirectory, _ name: String = "run") throws -> TrainingConfiguration
    {
        var configuration = try Curve.configuration(runDirectory: directory.file(name), microBatch: 4)
        configuration.globalBatch = 16
        configuration.steps = Self.steps
        configuration.validationData = FilePath(Curve.tokens)
        configuration.evalSequences = 24
        configuration.evalInterval = 1
        configuration.learningRate = 0.1
        configuration.warmupSteps = Self.steps
        configuration.checkpointInterval = 5
        configuration.keep = 1
        return configuration
    }

    /// All weights and losses stay what they are: each evaluation is as good as the first one.
    private func constant(_ directory: TemporaryDirectory) throws -> TrainingConfiguration {
        var configuration = try configuration(directory)
        configuration.learningRate = 0
        return configuration
    }

    private func losses(_ directory: TemporaryDirectory, _ name: String = "run") throws -> [Double] {
        try metricsFields(directory.file(name)).map { try #require(Double($0["val_loss"] ?? "")) }
    }

    /// The steps whose loss is lower than all before, by the plain loop.
    private func records(_ losses: [Double]) -> [Int] {
        losses.indices.filter { index in losses[..<index].allSatisfy { $0 > losses[index] } }.map { $0 + 1 }
    }

    private func names(_ directory: TemporaryDirectory, _ name: String = "run") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.file(name + "/checkpoints")).sorted()
    }

    private func step(_ directory: TemporaryDirectory, _ name: String = "best") throws -> Int {
        try Checkpoint(verifying: FilePath(directory.file("run/checkpoints/" + name))).state.step
    }

    private func name(_ step: Int) -> String { CheckpointName.directory(step: step) }

    @Test("The best checkpoint stays beside the newest, also through a resume", arguments: [1, 2], [nil, 1, 6, 11])
    func theBestStays(ranks: Int, stop: Int?) throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.keepBest = true
        let reporter = RecordingReporter()
        if let stop {
            configuration.stopAfter = stop
            #expect(try train(configuration, ranks: ranks, reporter: reporter) == .stopped)
            configuration.stopAfter = nil
        }
        #expect(try train(configuration, ranks: ranks, reporter: reporter) == .finished)
        let losses = try losses(directory)
        let records = records(losses)
        let best = try #require(records.last)
        #expect(records.count > 1 && best > 1 && best < Self.steps, "\(losses)")
        #expect(try names(directory) == ["best", name(best), name(Self.steps)])
        #expect(try step(directory) == best)

        // Saved once where it was found, and where a checkpoint was due anyway.
        let saved = reporter.lines.filter { $0.hasPrefix("checkpoint saved ") }
        let due = Set(records + [5, 10, Self.steps] + [stop].compactMap { $0 }).sorted()
        #expect(
            saved
                == due.map { step in
                    "checkpoint saved \(name(step))"
                        + (records.contains(step) ? "  best validation loss \(fixed(losses[step - 1], 4))" : "")
                })
        #expect(reporter.lines.contains { $0.hasSuffix("MB each, 1 kept, and the best") })
        #expect(reporter.warnings.allSatisfy { !$0.contains("best") }, "\(reporter.warnings)")
    }

    @Test func withoutTheOptionTheNewestAloneStay() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory)
        configuration.keepBest = true
        configuration.stopAfter = Self.steps - 2
        try train(configuration, ranks: 1)
        #expect(try names(directory).count == 3)
        configuration.keepBest = false
        configuration.stopAfter = nil
        try train(configuration, ranks: 1)
        #expect(try names(directory) == [name(Self.steps)])
        // And with it again: that one is gone, and a line says so.
        configuration.keepBest = true
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        let best = try #require(try losses(directory).min())
        #expect(
            reporter.lines.contains(
                "the best validation loss so far, \(fixed(best, 4)), has no checkpoint; a lower one will"),
            "\(reporter.lines)")
        #expect(try names(directory) == [name(Self.steps)])
    }

    @Test("Of equal losses the first one is the best", arguments: [1, 2]) func ties(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try constant(directory)
        configuration.keepBest = true
        configuration.evalInterval = 3
        #expect(try train(configuration, ranks: ranks) == .finished)
        #expect(try names(directory) == ["best", name(3), name(Self.steps)])
        #expect(try step(directory) == 3)
    }

    @Test func aBestOfOtherSequencesDoesNotCount() throws {
        let directory = try TemporaryDirectory()
        var configuration = try constant(directory)
        configuration.keepBest = true
        configuration.evalInterval = 3
        configuration.stopAfter = 7
        try train(configuration, ranks: 1)
        #expect(try step(directory) == 3)
        configuration.evalSequences = 7
        configuration.stopAfterNoImprovement = 2
        configuration.stopAfter = nil
        #expect(try train(configuration, ranks: 1) == .finished)
        // The first evaluation of the new ones, whatever its loss; and one more is not yet two without a better one.
        #expect(try names(directory) == ["best", name(9), name(Self.steps)])
    }

    /// The power goes after each of its operations; what follows comes to the end of a run that nobody stopped.
    @Test func aCutRunComesToTheSameEnd() throws {
        func run(on disk: SimulatedDisk) throws {
            var configuration = try constant(TemporaryDirectory())
            configuration.runDirectory = "/run"
            configuration.keepBest = true
            configuration.evalSequences = 4
            configuration.globalBatch = 4
            configuration.steps = 3
            configuration.warmupSteps = 1
            configuration.evalInterval = 2
            _ = try Trainer(
                configuration, communicator: SingleProcess(), reporter: SilentReporter(), fileSystem: disk
            ).run()
        }
        let whole = SimulatedDisk()
        try run(on: whole)
        #expect(whole.operations > 50)
        let cuts = SimulatedDisk.Cut.some
        for place in stride(from: 0, through: whole.operations, by: 2) {
            let disk = SimulatedDisk()
            disk.operationsLeft = place
            try? run(on: disk)
            disk.cutPower(cuts[place % cuts.count])
            try run(on: disk)
            let names = try disk.names(in: "/run/checkpoints").map(\.string)
            #expect(names == ["best", name(2), name(3)], "operation \(place)")
            #expect(try disk.target(ofLink: "/run/checkpoints/best").string == name(2), "operation \(place)")
        }
    }

    /// The step after which a run of these losses ends: the first that is the n-th evaluation since the best.
    private func end(_ losses: [Double], after limit: Int) -> Int {
        var (best, since) = (Double.infinity, 0)
        for (index, loss) in losses.enumerated() {
            (best, since) = loss < best ? (loss, 0) : (best, since + 1)
            if since == limit { return index + 1 }
        }
        return losses.count
    }

    @Test(
        "A run ends after N evaluations without a lower loss, wherever it was stopped between", arguments: [1, 2],
        [1, 2])
    func theEnd(ranks: Int, limit: Int) throws {
        let directory = try TemporaryDirectory()
        try train(configuration(directory, "whole"), ranks: 1)
        let all = try losses(directory, "whole")
        let end = end(all, after: limit)
        try #require(end < Self.steps && end > limit + 1, "\(all)")
        let best = try #require(records(Array(all[..<end])).last)
        let reason =
            "stopped: no better validation loss in \(limit) \(limit == 1 ? "evaluation" : "evaluations"); the best, "
            + "\(fixed(all[best - 1], 4)), was at step \(best)"
        for stop in [nil] + Set([best, end - 1, end]).sorted().map(Optional.some) {
            let run = "run-\(stop ?? 0)"
            var configuration = try configuration(directory, run)
            configuration.stopAfterNoImprovement = limit
            if let stop, stop < end {
                configuration.stopAfter = stop
                #expect(try train(configuration, ranks: ranks) == .stopped)
                configuration.stopAfter = nil
            } else {
                // A request at the very end changes nothing.
                configuration.stopAfter = stop
            }
            let reporter = RecordingReporter()
            #expect(try train(configuration, ranks: ranks, reporter: reporter) == .finished)
            #expect(reporter.lines.last == reason, "\(reporter.lines)")
            #expect(try losses(directory, run) == Array(all[..<end]))
            #expect(try names(directory, run) == [name(end)], "its end is saved")
        }
    }

    @Test("A run that has ended so says it again, and goes on where more is asked for", arguments: [1, 2])
    func again(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try constant(directory)
        configuration.stopAfterNoImprovement = 3
        #expect(try train(configuration, ranks: ranks) == .finished)
        #expect(try losses(directory).count == 4)
        for limit in [3, 2] {
            configuration.stopAfterNoImprovement = limit
            let reporter = RecordingReporter()
            #expect(try train(configuration, ranks: ranks, reporter: reporter) == .finished)
            let line = try #require(reporter.lines.last)
            #expect(line.hasPrefix("stopped: no better validation loss in 3 evaluations; the best, "), "\(line)")
            #expect(
                line.hasSuffix("was at step 1; to go on, give a larger --stop-after-no-improvement, or leave it out"))
            #expect(!reporter.lines.contains { $0.hasPrefix("checkpoint saved") })
            #expect(try losses(directory).count == 4)
        }
        configuration.stopAfterNoImprovement = 5
        #expect(try train(configuration, ranks: ranks) == .finished)
        #expect(try losses(directory).count == 6)
        configuration.stopAfterNoImprovement = nil
        #expect(try train(configuration, ranks: ranks) == .finished)
        #expect(try losses(directory).count == Self.steps)
    }

    @Test func aLossThatIsNotFiniteIsNeverTheBest() {
        let set = TrainerState.ValidationSet(identity: "0", sequences: 3)
        var record = ValidationRecord(nil, set: set, SilentReporter())
        let course: [(Double, Bool, Int)] = [
            (.nan, false, 1), (.infinity, false, 2), (-.infinity, false, 3), (3, true, 0), (.nan, false, 1),
            (3, false, 2), (4, false, 3), (2, true, 0), (-.infinity, false, 1),
        ]
        for (index, (loss, isBest, since)) in course.enumerated() {
            if index == 3 { #expect(record.reasonToEnd == "stopped: no finite validation loss in 3 evaluations") }
            #expect(record.add(loss, of: set, at: index + 1) == isBest, "\(index)")
            #expect(record.evaluationsSinceBest == since, "\(index)")
            #expect(record.lacksImprovement(over: 2) == (since >= 2) && !record.lacksImprovement(over: nil), "\(index)")
        }
        #expect(record.best == 2 && record.bestStep == 8 && record.newest == 2 && record.set == set)
    }

    /// Of an older checkpoint nobody knows the step of the best, nor how long ago that was.
    @Test func aStateOfAnOlderVersion() throws {
        let directory = try TemporaryDirectory()
        var configuration = try constant(directory)
        configuration.stopAfter = 4
        try train(configuration, ranks: 1)
        let set = TrainerState.ValidationSet(identity: "0", sequences: 3)
        var state = try Checkpoint(verifying: FilePath(directory.file("run/checkpoints/" + name(4)))).state
        #expect(state.bestValidationStep == 1 && state.evaluationsSinceBest == 3)
        (state.bestValidationStep, state.evaluationsSinceBest, state.validationSet) = (nil, nil, set)
        var record = ValidationRecord(state, set: set, SilentReporter())
        #expect(record.best == state.bestValidationLoss && !record.lacksImprovement(over: 1))
        #expect(!record.add(.greatestFiniteMagnitude, of: set, at: 5) && record.lacksImprovement(over: 1))
        #expect(record.reasonToEnd.hasSuffix(" is of an older checkpoint"))
    }
}
