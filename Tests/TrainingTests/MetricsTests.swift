import Basics
import Foundation
import Glibc
import TestSupport
import Testing
import Training

@Suite struct MetricsTests {
    static let metrics = {
        var metrics = StepMetrics()
        (metrics.step, metrics.epoch, metrics.learningRate, metrics.tokens) = (10, 1, 3.3e-5, 40960)
        (metrics.measured.trainLoss, metrics.measured.gradientNorm) = (9.8186, 0.1)
        (metrics.measured.tokensPerSecond, metrics.measured.milliseconds) = (2678.6, 12.5)
        return metrics
    }()

    @Test func aLineHasTheFieldsInOrder() {
        #expect(
            Self.metrics.json
                == #"{"step":10,"epoch":1,"lr":3.3e-05,"train_loss":9.8186,"grad_norm":0.1,"tokens":40960,"#
                + #""tokens_per_second":2678.6,"step_ms":12.5}"#)
    }

    @Test func aSequenceWarmupAddsAField() {
        var metrics = Self.metrics
        (metrics.sequenceLength, metrics.validationLoss) = (64, 0)
        #expect(metrics.json.hasSuffix(#""step_ms":12.5,"sequence_length":64,"val_loss":0.0,"val_ppl":1.0}"#))
    }

    @Test func anEvaluationAddsTwoFields() {
        var metrics = Self.metrics
        metrics.validationLoss = 0
        #expect(metrics.json.hasSuffix(#""step_ms":12.5,"val_loss":0.0,"val_ppl":1.0}"#))
    }

    @Test func bitsPerByteAreAFieldMore() {
        var metrics = Self.metrics
        (metrics.validationLoss, metrics.validationBitsPerByte) = (0, 0.25)
        #expect(metrics.json.hasSuffix(#""val_loss":0.0,"val_ppl":1.0,"val_bpb":0.25}"#))
    }

    /// The shortest text that reads back as the same number.
    @Test(arguments: [
        1.0 / 3, 0.1 + 0.2, Double.leastNonzeroMagnitude, 1.7976931348623157e308, -0.0, 2.9999999999999996e-4,
    ])
    func numbersKeepAllDigits(value: Double) throws {
        var metrics = Self.metrics
        metrics.measured.trainLoss = value
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(metrics.json.utf8)) as? [String: Any])
        let text = try #require(metrics.json.split(separator: "\"train_loss\":").last?.split(separator: ",").first)
        #expect(Double(text)?.bitPattern == value.bitPattern)
        #expect(text.count <= 24)
        #expect(object.count == 8)
    }

    /// JSON has no word for them.
    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func whatIsNotFiniteIsNull(value: Double) throws {
        var metrics = Self.metrics
        metrics.measured.trainLoss = value
        metrics.measured.gradientNorm = value
        metrics.measured.tokensPerSecond = value
        metrics.validationLoss = value
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(metrics.json.utf8)) as? [String: Any])
        for name in ["train_loss", "grad_norm", "tokens_per_second", "val_loss"] {
            #expect(object[name] is NSNull, "\(name)")
        }
        // e^-∞ is a number.
        #expect(object["val_ppl"] is NSNull == (value != -.infinity))
    }

    /// A loss whose e^loss is beyond Double.
    @Test func aPerplexityThatOverflowsIsNull() {
        var metrics = Self.metrics
        metrics.validationLoss = 1000
        #expect(metrics.json.hasSuffix(#""val_loss":1000.0,"val_ppl":null}"#))
    }

    /// The line as docs/files.md shows it, letter by letter.
    @Test func theLogLineIsThePublishedOne() {
        var metrics = Self.metrics
        metrics.validationLoss = 10.016938
        let line = metrics.logLine(of: 10000, mixedPrecision: true, meanSpeed: 2678.6)
        #expect(
            line.replacing(/val ppl [0-9.]+/, with: "val ppl X")
                == "epoch 1  step 10 / 10000  lr 0.000033  train loss 9.8186  val loss 10.0169  val ppl X  amp true  "
                + "2679 tok/s")
        let perplexity = line.firstMatch(of: #/val ppl ([0-9]+\.[0-9]{4})  amp/#)
        let value = perplexity.flatMap { Double($0.1) } ?? 0
        #expect(abs(value - exp(10.016938)) < 1e-4)
    }

    @Test func withoutAnEvaluationTheLogLineLacksItsFields() {
        let line = Self.metrics.logLine(of: 20, mixedPrecision: false, meanSpeed: 0.4)
        #expect(line == "epoch 1  step 10 / 20  lr 0.000033  train loss 9.8186  amp false  0 tok/s")
    }

    @Test func aSpeedThatIsNotFiniteDoesNotTrap() {
        var metrics = Self.metrics
        metrics.validationLoss = -.nan
        let line = metrics.logLine(of: 20, mixedPrecision: false, meanSpeed: .infinity)
        #expect(line.contains("val loss nan"))
    }

    @Test("W1: a rate without meaningful digits is written with its exponent")
    func aHugeRateHasAnExponent() {
        var metrics = Self.metrics
        metrics.learningRate = 1e30
        let line = metrics.logLine(of: 20, mixedPrecision: false, meanSpeed: 1)
        #expect(line.contains("  lr 1e+30  "))
    }
}

@Suite struct MetricsLogTests {
    private func lines(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
    }

    private func metrics(_ step: Int) -> StepMetrics {
        var metrics = MetricsTests.metrics
        metrics.step = step
        return metrics
    }

    @Test func aFreshRunStartsAnEmptyFile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("metrics.jsonl")
        let log = try MetricsLog(path: FilePath(path), keepingThrough: 0)
        #expect(try lines(path) == [""])
        log.append(metrics(1))
        #expect(try lines(path) == [metrics(1).json, ""])
    }

    /// What came after the checkpoint, a torn line at the end and what is no line of ours all go.
    @Test(arguments: ["", "{\"step\":4,\"epo", "{\"step\":12", "garbage\n", "\n\n"])
    func aResumeDropsWhatItWillMakeAgain(tail: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("metrics.jsonl")
        do {
            let log = try MetricsLog(path: FilePath(path), keepingThrough: 0)
            for step in 1...12 { log.append(metrics(step)) }
        }
        try Data((try String(contentsOfFile: path, encoding: .utf8) + tail).utf8).write(to: URL(fileURLWithPath: path))
        let log = try MetricsLog(path: FilePath(path), keepingThrough: 3)
        #expect(try lines(path) == (1...3).map { metrics($0).json } + [""])
        log.append(metrics(4))
        #expect(try lines(path) == (1...4).map { metrics($0).json } + [""])
        #expect(log.lostLines == 0)
    }

    /// A torn line of a step that is kept is no line either: without its end its numbers cannot be trusted.
    @Test func aTornLineOfAKeptStepGoes() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("metrics.jsonl")
        try Data((metrics(1).json + "\n" + metrics(2).json.dropLast(4)).utf8).write(to: URL(fileURLWithPath: path))
        _ = try MetricsLog(path: FilePath(path), keepingThrough: 2)
        #expect(try lines(path) == [metrics(1).json, ""])
    }

    @Test func aFileThatCannotBeMadeIsNamed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("missing/metrics.jsonl")
        let error = #expect(throws: FileSystemError.self) { try MetricsLog(path: FilePath(path), keepingThrough: 0) }
        #expect(error?.exitCode == 73)
        #expect(error?.description.contains(path) == true)
    }

    @Test("S13: a line that could not be written whole is absent, and the next one stands alone")
    func aTornLineIsTakenAway() throws {
        for place in 0..<12 {
            let directory = try TemporaryDirectory()
            let path = directory.file("metrics.jsonl")
            let files = FaultyFileSystem(.error(ENOSPC), at: place, longestWrite: 50)
            let log = try MetricsLog(path: FilePath(path), keepingThrough: 0, fileSystem: files)
            for step in 1...4 { log.append(metrics(step)) }
            #expect(log.lostLines == 1)
            let kept = try lines(path)
            #expect(kept.count == 4 && kept.last == "")
            #expect(Set(kept.dropLast()).isSubset(of: Set((1...4).map { metrics($0).json })))
        }
    }

    @Test(
        "S13: what a resume does not find in the file is said",
        arguments: [
            (nil, "0 of the 3"), ("", "0 of the 3"), ("{\"step\":2,", "0 of the 3"), ("\u{0}\u{1}\n", "0 of the 3"),
            ("1", "1 of the 3"), ("1 3", "2 of the 3"), ("1 2 3 4", nil),
        ] as [(String?, String?)])
    func missingLinesAreSaid(contents: String?, words: String?) throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("metrics.jsonl")
        if let contents {
            let steps = contents.split(separator: " ").compactMap { Int($0) }
            let text = steps.isEmpty ? contents : steps.map { metrics($0).json + "\n" }.joined()
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        let log = try MetricsLog(path: FilePath(path), keepingThrough: 3)
        #expect(
            words.map { log.warning?.contains($0) == true && log.warning?.contains(path) == true }
                ?? (log.warning == nil))
    }

    @Test("P2: dropping lines keeps the file's mode and link") func aLinkedLog() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("real.jsonl")
        do {
            let log = try MetricsLog(path: FilePath(path), keepingThrough: 0)
            for step in 1...4 { log.append(metrics(step)) }
        }
        try #require(chmod(path, 0o640) == 0 && symlink("real.jsonl", directory.file("metrics.jsonl")) == 0)
        let log = try MetricsLog(path: FilePath(directory.file("metrics.jsonl")), keepingThrough: 2)
        log.append(metrics(3))
        #expect(try lines(path) == (1...3).map { metrics($0).json } + [""])
        #expect(try LocalFileSystem().status(FilePath(path), followLinks: false).permissions == 0o640)
        #expect(
            try LocalFileSystem().status(FilePath(directory.file("metrics.jsonl")), followLinks: false).kind
                == .symbolicLink)
    }
}
