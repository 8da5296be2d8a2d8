import Basics
import Foundation
import Glibc
import TestSupport
import Testing
import Training

/// Event files: their bytes, and what a start makes of those that are there.
@Suite struct EventLogTests {
    /// A folder with a `metrics.jsonl` and event files.
    private struct Folder {
        let directory: TemporaryDirectory
        var path: String { directory.path }

        init() throws { directory = try TemporaryDirectory() }

        /// A start of the run, after `step`; `at`: its time.
        func start(
            after step: Int, at time: Double = 1_700_000_000, fileSystem: any FileSystem = LocalFileSystem()
        ) throws -> (log: EventLog, metrics: MetricsLog) {
            let metrics = try MetricsLog(path: FilePath(directory.file("metrics.jsonl")), keepingThrough: step)
            let log = try EventLog(
                in: FilePath(path), keepingThrough: step, metrics: FilePath(directory.file("metrics.jsonl")),
                options: [("steps", "20"), ("train-data", "a`|*b*")], bytesPerToken: 2.5, fileSystem: fileSystem,
                clock: { time })
            return (log, metrics)
        }

        /// One more life of the run.
        func live(_ steps: ClosedRange<Int>, at time: Double = 1_700_000_000, events: Bool = true) throws {
            let (log, metrics) = try start(after: steps.lowerBound - 1, at: time)
            for step in steps {
                metrics.append(EventLogTests.metrics(step, life: time))
                if events { log.append(EventLogTests.metrics(step, life: time)) }
            }
        }

        func steps() throws -> [Int] { try eventPoints(path).filter { $0.tag == "loss/train" }.map(\.step) }
    }

    /// The numbers of a step, other ones in each life.
    private static func metrics(_ step: Int, life: Double = 0) -> StepMetrics {
        var metrics = MetricsTests.metrics
        metrics.step = step
        metrics.ceilingShare = 0.5 + 1 / Double(step)
        metrics.measured.trainLoss = 3 + 1 / Double(step) + life.truncatingRemainder(dividingBy: 1000) / 7
        if step % 5 == 0 {
            (metrics.validationLoss, metrics.validationBitsPerByte) = (3.1 + 1 / Double(step), 1.7 / Double(step))
        }
        return metrics
    }

    private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
    private func hex(_ bytes: some Sequence<UInt8>) -> String { bytes.map { hexadecimal($0) }.joined() }

    @Test func theChecksumIsCastagnolis() {
        let check = Array("x123456789y".utf8)
        #expect(CRC32C.value(of: check, 1..<10) == 0xE306_9283)
        #expect(CRC32C.masked(check, 1..<10) == 0xC78A_B0E5)
        #expect(CRC32C.value(of: [], 0..<0) == 0)
    }

    /// The first record as TensorFlow's own writer makes it at this time.
    @Test func theFirstRecordIsTensorFlows() throws {
        let folder = try Folder()
        try folder.start(after: 0).log.append(Self.metrics(1))
        let path = try #require(try eventFiles(folder.path).first)
        let expected =
            "1800000000000000" + "a37f4b22" + "0900000040fc54d941" + "1a0d627261696e2e4576656e743a32" + "eced8f9d"
        #expect(hex(try bytes(path).prefix(40)) == expected)
        // Then the start, at the step that comes: session_log { status: START }.
        let events = try events(path)
        #expect(hex(try bytes(path)[52..<67]) == "0900000040fc54d94110013a020801")
        #expect(events[0].version == "brain.Event:2" && events[1].isStart && events[1].step == 1)
        #expect(events.map(\.time) == [1_700_000_000, 1_700_000_000, 1_700_000_000, 1_700_000_000])
        #expect(try eventFiles(folder.path) == [path] && path.contains("/events.out.tfevents.1700000000."))
    }

    /// Letter by letter: a summary of one scalar would be `0a` length `0a` length tag `15` float.
    @Test func aScalarIsATagAndAFloat() throws {
        let folder = try Folder()
        try folder.start(after: 0).log.append(Self.metrics(1))
        let text = hex(try bytes(try eventFiles(folder.path)[0]))
        let tag = hex("loss/train".utf8)
        #expect(text.contains("0a110a0a\(tag)15" + hex(littleEndian(Int(Float(4).bitPattern), 4))))
    }

    @Test func everyNumberIsThatOfTheMetrics() throws {
        let folder = try Folder()
        try folder.live(1...20)
        try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
        let points = try eventPoints(folder.path)
        #expect(points.filter { $0.tag == "loss/validation" }.map(\.step) == [5, 10, 15, 20])
        let bits = try #require(points.first { $0.tag == "bits_per_byte/train" }?.bits)
        #expect(Float(bitPattern: bits) == Float(4 / 0.6931471805599453 / 2.5))
        let options = try #require(points.first { $0.tag == "config" })
        #expect(options.step == 0)
        #expect(options.text == "| option | value |\n|---|---|\n| steps | `20` |\n| train-data | `a'|*b*` |")
    }

    @Test func whatIsNotFiniteIsKept() throws {
        let folder = try Folder()
        var metrics = Self.metrics(1)
        (metrics.measured.gradientNorm, metrics.validationLoss) = (.nan, 1000)
        try folder.start(after: 0).log.append(metrics)
        let points = try eventPoints(folder.path)
        let values = points.filter { $0.bits != nil }.reduce(into: [:]) { $0[$1.tag] = Float(bitPattern: $1.bits ?? 0) }
        #expect(values["optimizer/gradient_norm"]?.isNaN == true)
        #expect(values["perplexity/validation"] == .infinity)
    }

    @Test func aSampleIsABlockOfCode() throws {
        let folder = try Folder()
        let log = try folder.start(after: 0).log
        log.append(Self.metrics(1))
        var sample = TextSample()
        (sample.step, sample.prompt, sample.text) = (1, "Once *upon*", " a time\n\n  <b>ü")
        log.append(sample)
        let point = try #require(try eventPoints(folder.path).last)
        #expect(point.tag == "samples" && point.step == 1)
        #expect(point.text == "    Once *upon* a time\n    \n      <b>ü")
        // A resume keeps it with its step, and drops it before.
        _ = try folder.start(after: 1)
        #expect(try eventPoints(folder.path).last == point)
    }

    /// Kills at odd steps, resumes from the checkpoint before: each point is there once, from the last life that made it.
    @Test func aResumeDropsWhatItWillMakeAgain() throws {
        let folder = try Folder()
        try folder.live(1...13, at: 1_700_000_000)
        try folder.live(11...17, at: 1_700_000_050)
        try folder.live(11...12, at: 1_700_000_100)
        try folder.live(11...29, at: 1_700_000_150)
        try folder.live(21...30, at: 1_700_000_200)
        #expect(try folder.steps() == Array(1...30))
        try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
        let points = try eventPoints(folder.path)
        for (steps, time) in [(1...10, 0.0), (11...20, 150), (21...30, 200)] {
            #expect(points.filter { steps.contains($0.step) }.allSatisfy { $0.time == 1_700_000_000 + time })
        }
        // The lives of which nothing was kept leave their first record, for readers that follow them.
        let files = try eventFiles(folder.path)
        #expect(try files.map { try events($0).count > 1 } == [true, false, false, true, true])
        // A start from scratch leaves no point, and no file is made before there is something to write.
        _ = try folder.start(after: 0)
        #expect(try eventPoints(folder.path).isEmpty)
        #expect(try eventFiles(folder.path) == files)
    }

    /// A file is cut by what goes on after it, also where its own end came back with a power cut.
    @Test func aNewerFileBoundsAnOlderOne() throws {
        let folder = try Folder()
        try folder.live(1...13)
        let old = try eventFiles(folder.path)[0]
        let whole = try bytes(old)
        try folder.live(11...20, at: 1_700_000_050)
        try Data(whole).write(to: URL(fileURLWithPath: old))
        try folder.live(19...22, at: 1_700_000_100)
        #expect(try folder.steps() == Array(1...22))
        try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
    }

    /// Any end that a kill or a power cut leaves.
    @Test func aTornRecordIsDropped() throws {
        let folder = try Folder()
        try folder.live(1...3)
        let path = try eventFiles(folder.path)[0]
        let whole = try bytes(path)
        var ends: [Int] = [0]
        try RecordedEvent.forEach(in: FilePath(path)) { ends.append($1) }
        #expect(ends.count == 7 && ends.last == whole.count)
        for cut in stride(from: 0, through: whole.count, by: 7) {
            for tail in [[], [UInt8](repeating: 0, count: 40), Array(whole.suffix(20))]
            where Array(whole.prefix(cut)) + tail != whole {
                for file in try eventFiles(folder.path) { try FileManager.default.removeItem(atPath: file) }
                try Data(whole.prefix(cut) + tail).write(to: URL(fileURLWithPath: path))
                var files = try EventFiles(in: FilePath(folder.path))
                try files.keep(through: 3)
                let kept = ends.last { $0 <= cut } ?? 0
                #expect(try bytes(path) == Array(whole.prefix(kept)), "\(cut)")
                // And the start that follows makes up for what is gone.
                _ = try folder.start(after: 3)
                #expect(try folder.steps() == [1, 2, 3], "\(cut)")
            }
        }
    }

    @Test func aFlippedByteEndsAFile() throws {
        let folder = try Folder()
        try folder.live(1...3)
        let path = try eventFiles(folder.path)[0]
        let whole = try bytes(path)
        for place in stride(from: 0, to: whole.count, by: 11) {
            var broken = whole
            broken[place] ^= 0x10
            for file in try eventFiles(folder.path) { try FileManager.default.removeItem(atPath: file) }
            try Data(broken).write(to: URL(fileURLWithPath: path))
            _ = try folder.start(after: 3)
            try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
        }
    }

    /// Of a run that began without events, or whose disk was full for some steps.
    @Test(arguments: [[1...20], [1...3], [4...9], [15...20], [2...2, 9...9, 18...20]])
    func whatIsMissingIsMadeUpFor(lost: [ClosedRange<Int>]) throws {
        let folder = try Folder()
        do {
            let (log, metrics) = try folder.start(after: 0)
            for step in 1...20 {
                metrics.append(Self.metrics(step))
                if !lost.contains(where: { $0.contains(step) }) { log.append(Self.metrics(step)) }
            }
        }
        let log = try folder.start(after: 20, at: 1_700_001_000).log
        try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
        log.append(Self.metrics(21))
        #expect(try folder.steps() == Array(1...21))
        // Points that are made up for stand where their steps were: 12.5 ms each before the start.
        let times = try eventPoints(folder.path).filter { $0.tag == "loss/train" && $0.time > 1_700_000_500 }.map(
            \.time)
        #expect(times.last == 1_700_001_000 && times.dropLast().last == 1_700_001_000)
        #expect(times.count < 3 || (times[times.count - 2] - times[times.count - 3] - 0.0125).magnitude < 1e-5)
    }

    /// Readers take files by their names.
    @Test func theOrderOfNamesIsThatOfStarts() throws {
        let folder = try Folder()
        try folder.live(1...4, at: 1_700_000_900)
        try folder.live(3...6, at: 1_700_000_100)
        try folder.live(7...8, at: 1_700_000_100)
        #expect(try folder.steps() == Array(1...8))
    }

    @Test func filesOfOthersStay() throws {
        let folder = try Folder()
        let other = folder.directory.file("events.out.tfevents.1600000000.host")
        try Data("not ours".utf8).write(to: URL(fileURLWithPath: other))
        try folder.live(1...4)
        _ = try folder.start(after: 0)
        #expect(try bytes(other) == Array("not ours".utf8))
        #expect(try eventFiles(folder.path).count == 2)
        #expect(try EventFiles(in: FilePath(folder.path)).steps.isEmpty)
    }

    @Test("A record that could not be written whole is absent, and the next start makes up for it")
    func aFullDiskEndsNothing() throws {
        for place in 0..<20 {
            let folder = try Folder()
            let files = FaultyFileSystem(.error(ENOSPC), at: place, longestWrite: 50)
            let (log, metrics) = try folder.start(after: 0, fileSystem: files)
            for step in 1...4 {
                metrics.append(Self.metrics(step))
                log.append(Self.metrics(step))
            }
            #expect(log.lostRecords == 1, "\(place)")
            #expect(try folder.steps().count == 3, "\(place)")
            _ = try folder.start(after: 4)
            try expectEventsOfMetrics(folder.path, bytesPerToken: 2.5)
        }
    }

    @Test func aLineOfMetricsReadsBack() throws {
        var metrics = Self.metrics(5)
        (metrics.muonLearningRate, metrics.sequenceLength) = (0.02, 64)
        #expect(StepMetrics(json: metrics.json.utf8) == metrics)
        for line in ["", "{}", "[1]", "{\"step\":0}", String(metrics.json.dropLast())] {
            #expect(StepMetrics(json: line.utf8) == nil)
        }
    }
}
