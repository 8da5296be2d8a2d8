import Basics
import Collectives
import Foundation
import Glibc
import TestSupport
import Testing
import TokenData
import Training

/// The event files of whole runs.
@Suite struct EventRunTests {
    private func configuration(_ path: String, steps: Int = 8) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: path)
        configuration.validationData = FilePath(Curve.tokens)
        configuration.evalSequences = 4
        configuration.evalInterval = 3
        configuration.steps = steps
        configuration.warmupSteps = 1
        return configuration
    }

    @Test(
        "A run that was stopped and went on, on 1 and 2 ranks, has each point once",
        arguments: [(1, 1), (2, 1), (1, 2)])
    func aRunWithAStop(first: Int, second: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory.file("run"))
        configuration.stopAfter = 5
        #expect(try train(configuration, ranks: first) == .stopped)
        try expectEventsOfMetrics(directory.file("run"))
        configuration.stopAfter = nil
        #expect(try train(configuration, ranks: second) == .finished)
        try expectEventsOfMetrics(directory.file("run"))
        let points = try eventPoints(directory.file("run"))
        #expect(points.filter { $0.tag == "loss/train" }.map(\.step) == Array(1...8))
        #expect(points.filter { $0.tag == "loss/validation" }.map(\.step) == [3, 6, 8])
        // The curve's shards have no tokenizer beside them.
        #expect(!points.contains { $0.tag.hasPrefix("bits_per_byte") })
        let options = try #require(points.first { $0.tag == "config" }?.text)
        #expect(options.contains("\n| steps | `8` |\n") && options.contains("\n| stop-after | `5` |\n"), "\(options)")
        #expect(try eventFiles(directory.file("run")).count == 2)
        // Of one start, the speed of each step against the same ceiling.
        let ceilings = try metricsFields(directory.file("run")).prefix(5).map { line in
            let speed = try #require(line["tokens_per_second"].flatMap { Double($0) })
            return speed / (try #require(line["ceiling_share"].flatMap { Double($0) }))
        }
        #expect(ceilings.allSatisfy { $0 > 0 && ($0 / ceilings[0] - 1).magnitude < 1e-12 }, "\(ceilings)")
    }

    @Test func withoutThemARunHasNone() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory.file("run"))
        configuration.stopAfter = 5
        configuration.hasEvents = false
        try train(configuration, ranks: 1)
        #expect(try eventFiles(directory.file("run")).isEmpty)
        #expect(try metricsFields(directory.file("run")).allSatisfy { $0["ceiling_share"] == nil })
        // And one that goes on with them has all.
        (configuration.stopAfter, configuration.hasEvents) = (nil, true)
        try train(configuration, ranks: 1)
        try expectEventsOfMetrics(directory.file("run"))
        #expect(try eventPoints(directory.file("run")).filter { $0.tag == "loss/train" }.map(\.step) == Array(1...8))
    }

    /// A start without events drops what it will make again all the same: a later one could not tell old points from new.
    @Test func withoutThemAResumeDropsOldOnes() throws {
        let directory = try TemporaryDirectory()
        var configuration = try configuration(directory.file("run"))
        configuration.stopAfter = 5
        try train(configuration, ranks: 1)
        let ahead = try EventLog(
            in: configuration.runDirectory, keepingThrough: 5,
            metrics: configuration.runDirectory.appending("metrics.jsonl"), options: [])
        var metrics = StepMetrics()
        metrics.step = 6
        ahead.append(metrics)
        #expect(try EventFiles(in: configuration.runDirectory).steps == [1, 2, 3, 4, 5, 6])
        (configuration.stopAfter, configuration.hasEvents) = (nil, false)
        try train(configuration, ranks: 1)
        #expect(try EventFiles(in: configuration.runDirectory).steps == [1, 2, 3, 4, 5])
    }

    /// A stop in an evaluation, then a kill after it was made up, before a save: the step is made up once more.
    @Test("A step whose evaluation is made up twice has one line and one point")
    func anEvaluationMadeUpTwice() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("run")
        await #expect(processExitsWith: .success) { [path = path as String] in
            let trainer = try Trainer(stopped(path), communicator: SingleProcess(), reporter: SilentReporter())
            var looks = 0
            trainer.clock = {
                looks += 1
                if looks == 4 { StopRequest.set() }
                return UInt64(looks) * 1_000_000
            }
            #expect(try trainer.run() == .stopped)
        }
        await #expect(processExitsWith: .exitCode(9)) { [path = path as String] in
            let trainer = try Trainer(stopped(path), communicator: SingleProcess(), reporter: SilentReporter())
            // Looked at for the first time when step 3 begins.
            trainer.clock = { _exit(9) }
            _ = try trainer.run()
        }
        #expect(try metricsFields(path).map { $0["step"] } == ["1", "2"])
        #expect(try train(stopped(path), ranks: 1) == .finished)
        #expect(try metricsFields(path).map { $0["step"] } == ["1", "2", "3", "4"])
        try expectEventsOfMetrics(path)
    }

    /// The line of starts.jsonl (0), then of each step a line of metrics (1, 3) and a record (2, 4).
    @Test("A lost event is said, ends nothing, and is made up for at the next start", arguments: [2, 4])
    func aLostEvent(operation: Int) throws {
        let directory = try TemporaryDirectory()
        let reporter = RecordingReporter()
        func trainer(_ name: String, on disk: FaultyFileSystem) throws -> Trainer {
            try Trainer(
                configuration(directory.file(name)), communicator: SingleProcess(), reporter: reporter, fileSystem: disk
            )
        }
        let whole = FaultyFileSystem()
        _ = try trainer("one", on: whole)
        let disk = FaultyFileSystem(.error(ENOSPC), at: whole.count + operation)
        #expect(try trainer("two", on: disk).run() == .finished)
        #expect(reporter.warnings.filter { $0.hasPrefix("an event for TensorBoard could not be written") }.count == 1)
        #expect(try EventFiles(in: FilePath(directory.file("two"))).steps.count == 7)
        #expect(try metricsFields(directory.file("two")).count == 8)
        #expect(try train(configuration(directory.file("two")), ranks: 1) == .finished)
        try expectEventsOfMetrics(directory.file("two"))
    }

    /// Two shards and a tokenizer of which the length of each token is known.
    @Test func bitsPerByte() throws {
        let directory = try TemporaryDirectory()
        let text = String(repeating: "the cat sat on the mat, the hat sat on the cat. ", count: 400)
        var words = WordCounts()
        let bytesOfText = Array(text.utf8)
        words.add(bytesOfText.span)
        let tokenizer = try BPETrainer(vocabularySize: 280).train(words)
        let folder = FilePath(directory.file("data"))
        try LocalFileSystem().makeDirectories(folder)
        let ids = [0] + tokenizer.encode(bytesOfText) + [0]
        for name in ["train", "val"] {
            let writer = TokenShardWriter(
                directory: folder, prefix: name, vocabularySize: 280, tokenizer: try tokenizer.identity())
            let part = name == "train" ? ids : Array(ids.suffix(200))
            try writer.append(part.span)
            _ = try writer.publish()
        }
        try LocalFileSystem().makeFile(folder.appending("tokenizer.json"), tokenizer.tokenizerJSON())

        var configuration = try configuration(directory.file("run"), steps: 3)
        configuration.initFrom = nil
        (configuration.layers, configuration.heads, configuration.embeddingSize) = (1, 2, 16)
        configuration.contextLength = 16
        configuration.trainData = folder.appending("train_*.bin")
        configuration.validationData = folder.appending("val_*.bin")
        try train(configuration, ranks: 1)

        // Tokens stand for their bytes, the two marks for none.
        let perToken = Double(bytesOfText.count) / Double(ids.count)
        try expectEventsOfMetrics(directory.file("run"), bytesPerToken: perToken)
        let line = try #require(try metricsFields(directory.file("run")).last)
        let loss = try #require(line["val_loss"].flatMap { Double($0) })
        // Sequences 0, 3, 6 and 9 of 12: the targets of each are the 16 tokens behind its first.
        let tail = ids.suffix(200)
        let targets = [0, 3, 6, 9].flatMap { tail.dropFirst(16 * $0 + 1).prefix(16) }
        let bytes = targets.reduce(0) { $0 + ($1 == 0 ? 0 : tokenizer.bytes(of: $1).count) }
        #expect(targets.count == 64 && Double(bytes) / 64 != perToken)
        let expected = loss / 0.6931471805599453 / (Double(bytes) / 64)
        #expect(line["val_bpb"].flatMap { Double($0) } == expected)
        // Another tokenizer beside the shards is not theirs, and none is none.
        let stream = try TokenStream(glob: configuration.trainData)
        #expect(try TokenBytes(beside: stream)?.perToken(of: stream) == perToken)
        let other = try BPETrainer(vocabularySize: 270).train(words)
        try LocalFileSystem().replaceFile(folder.appending("tokenizer.json"), with: other.tokenizerJSON())
        #expect(TokenBytes(beside: stream) == nil)
        try LocalFileSystem().removeFile(folder.appending("tokenizer.json"))
        #expect(TokenBytes(beside: stream) == nil)
    }
}

/// Four steps with an evaluation after the second and the last.
private func stopped(_ path: String) throws -> TrainingConfiguration {
    var configuration = try Curve.configuration(runDirectory: path)
    configuration.validationData = FilePath(Curve.tokens)
    configuration.evalSequences = 4
    configuration.evalInterval = 2
    configuration.steps = 4
    configuration.warmupSteps = 1
    return configuration
}
