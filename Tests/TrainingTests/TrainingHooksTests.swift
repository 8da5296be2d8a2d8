import Basics
import Collectives
import Foundation
import Optimization
import TestSupport
import Testing
import TokenData
import Training

/// Data and schedules of a program's own in a run, beside the same ones built in.
@Suite struct TrainingHooksTests {
    /// The curve's shards, read as a program's own data.
    private struct Copy: SequenceSource {
        var name = "copy"
        var vocabularySize: Int
        var sequencesPerEpoch: Int?
        let tokenizerFolder: FilePath? = nil
        let stream: TokenStream
        /// What stands in place of every token, if anything.
        var wrong: Int32?

        init() throws {
            stream = try TokenStream(glob: FilePath(Curve.tokens))
            vocabularySize = try (stream.idRange()?.upperBound ?? 0) + 1
        }

        func fill(_ tokens: inout MutableSpan<Int32>, position: Int) throws {
            let length = tokens.count - 1
            let index = position % stream.sequenceCount(contextLength: length)
            try stream.copyTokens(from: index * length, into: &tokens, 0..<length + 1)
            if let wrong { tokens[0] = wrong }
        }
    }

    private func configuration(_ directory: TemporaryDirectory, _ run: String) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.steps = 8
        configuration.warmupSteps = 2
        return configuration
    }

    private func train(
        _ configuration: TrainingConfiguration, _ hooks: TrainingHooks, ranks: Int = 1,
        _ reporter: RecordingReporter = RecordingReporter()
    ) throws -> Trainer.Outcome {
        try ThreadWorld.run(worldSize: ranks) { communicator in
            let voice: any Reporter = communicator.rank == 0 ? reporter : SilentReporter()
            return try Trainer(configuration, communicator: communicator, reporter: voice, hooks: hooks).run()
        }[0]
    }

    /// The fields of each line that do not tell the time.
    private func metrics(_ directory: TemporaryDirectory, _ run: String) throws -> [[String: String]] {
        try metricsFields(directory.file(run)).map { line in
            line.filter { !["tokens_per_second", "step_ms", "ceiling_share", "epoch"].contains($0.key) }
        }
    }

    @Test(arguments: [1, 2]) func ownDataHasTheBitsOfShards(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        let reporter = RecordingReporter()
        #expect(try train(configuration(directory, "shards"), TrainingHooks()) == .finished)
        var own = try configuration(directory, "own")
        own.trainData = ""
        #expect(try train(own, TrainingHooks(source: Copy()), ranks: ranks, reporter) == .finished)
        #expect(try metrics(directory, "own") == metrics(directory, "shards"))
        #expect(reporter.lines.contains("data: source 'copy', without epochs"), "\(reporter.lines)")
    }

    @Test func aResumeGoesOnAndWantsTheSameData() throws {
        let directory = try TemporaryDirectory()
        let whole = try configuration(directory, "whole")
        #expect(try train(whole, TrainingHooks(source: Copy())) == .finished)
        var parts = try configuration(directory, "parts")
        parts.stopAfter = 3
        #expect(try train(parts, TrainingHooks(source: Copy())) == .stopped)
        var other = try Copy()
        other.name = "other"
        parts.stopAfter = nil
        for hooks in [TrainingHooks(source: other), TrainingHooks()] {
            let error = try #require(throws: AgreedError.self) { try train(parts, hooks) }
            #expect(error.exitCode == 65 && error.description.contains("expected source copy"), "\(error)")
        }
        #expect(try train(parts, TrainingHooks(source: Copy())) == .finished)
        #expect(try metrics(directory, "parts") == metrics(directory, "whole"))
    }

    @Test func anEpochIsTheSourcesOwn() throws {
        let directory = try TemporaryDirectory()
        var source = try Copy()
        source.sequencesPerEpoch = 8
        #expect(try train(configuration(directory, "epochs"), TrainingHooks(source: source)) == .finished)
        // Four sequences a step.
        #expect(
            try metricsFields(directory.file("epochs")).map { $0["epoch"] } == ["1", "1", "2", "2", "3", "3", "4", "4"])
    }

    @Test(arguments: [Int32.max, -1]) func anIdThatIsNoneEndsTheRun(id: Int32) throws {
        let directory = try TemporaryDirectory()
        var source = try Copy()
        source.wrong = id
        let error = try #require(throws: ExitError.self) {
            try Trainer(
                configuration(directory, "wrong"), communicator: SingleProcess(), reporter: SilentReporter(),
                hooks: TrainingHooks(source: source)
            ).run()
        }
        #expect(
            error.exitCode == 65
                && error.description.contains("'copy' gives token id \(id) at token 0 of sequence 0, expected 0 to "),
            "\(error)")
    }

    @Test func aVocabularyLargerThanTheModelsIsRefused() throws {
        let directory = try TemporaryDirectory()
        var source = try Copy()
        source.vocabularySize = 1 << 20
        let error = try #require(throws: AgreedError.self) {
            try train(configuration(directory, "large"), TrainingHooks(source: source))
        }
        #expect(error.exitCode == 64 && error.description.contains("'copy' has 1048576 token ids"), "\(error)")
    }

    /// The built-in curve as a program's own: the same bits of everything, through a stop too.
    @Test(arguments: [1, 2]) func anOwnScheduleHasTheBitsOfTheSameCurve(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var plain = try configuration(directory, "plain")
        let curve = try plain.makeSchedule()
        #expect(try train(plain, TrainingHooks()) == .finished)
        let hooks = TrainingHooks(schedule: CustomSchedule(name: "mine") { curve.rate(at: $0) })
        plain.runDirectory = FilePath(directory.file("own"))
        plain.schedule = .constant
        plain.stopAfter = 5
        let reporter = RecordingReporter()
        #expect(try train(plain, hooks, ranks: ranks, reporter) == .stopped)
        #expect(reporter.lines.contains("schedule: custom 'mine'"), "\(reporter.lines)")
        plain.stopAfter = nil
        let error = try #require(throws: AgreedError.self) { try train(plain, TrainingHooks()) }
        #expect(error.exitCode == 64 && error.description.contains("has the schedule custom 'mine'"), "\(error)")
        #expect(try train(plain, hooks, ranks: ranks) == .finished)
        #expect(try metrics(directory, "own") == metrics(directory, "plain"))
    }

    @Test func aRateThatIsNoneEndsTheRunBeforeItIsUsed() throws {
        let directory = try TemporaryDirectory()
        let hooks = TrainingHooks(schedule: CustomSchedule(name: "torn") { $0 < 3 ? 1e-3 : .nan })
        let error = try #require(throws: AgreedError.self) { try train(configuration(directory, "torn"), hooks) }
        #expect(error.exitCode == 64 && error.description.contains("'torn' gives nan for step 3"), "\(error)")
    }
}
