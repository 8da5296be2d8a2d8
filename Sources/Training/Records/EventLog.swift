import Basics
import Checkpointing
import Collectives
import Glibc

/// The event files of a run, for TensorBoard: scalars of every step, samples, and the options once.
///
/// They read as one run, as `metrics.jsonl` does: no point is there twice and none is missing, also for a reader that does
/// not know what a start means.
package final class EventLog: RunRecord {
    /// Records that could not be written. The next start of the run makes up for those of steps.
    package private(set) var lostRecords = 0
    private let directory: FilePath
    private let fileSystem: any FileSystem
    private let clock: () -> Double
    private let bytesPerToken: Double?
    private let scalars = EventScalar.allCases.map { ($0, EventTag($0.rawValue)) }
    /// What the file begins with, and its name's second.
    private var head = EventRecords()
    private let second: Int
    private var records = EventRecords()
    /// Made with its first record: a start that makes no step leaves no file.
    private var file: OutputFile?
    /// Bytes of whole records.
    private var wholeSize = 0
    private let onLoss: (() -> Void)?
    private var isEntryDurable = false

    /// Drops the events after `step`, which a resumed run will make again, and makes up for those that `metrics.jsonl` has
    /// and the files have not: of a run that began without them, or on a disk that was full.
    ///
    /// - Parameters:
    ///   - directory: the run directory.
    ///   - metrics: its `metrics.jsonl`, without lines after `step`.
    ///   - options: of the run, for a table.
    ///   - bytesPerToken: of the training data, where that is known.
    ///   - onLoss: called at the first record that could not be written.
    ///   - clock: seconds since 1970.
    /// - Throws: `FileSystemError` (65, 66 or 74) when files that are there cannot be read or cut.
    package init(
        in directory: FilePath, keepingThrough step: Int, metrics: FilePath, options: [(name: String, value: String)],
        bytesPerToken: Double? = nil, fileSystem: any FileSystem = LocalFileSystem(), onLoss: (() -> Void)? = nil,
        clock: @escaping () -> Double = secondsSince1970
    ) throws(FileSystemError) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.clock = clock
        self.onLoss = onLoss
        self.bytesPerToken = bytesPerToken
        var files = try EventFiles(in: directory, fileSystem: fileSystem)
        try files.keep(through: step)
        let history = try MetricsHistory(path: metrics, fileSystem: fileSystem)
        let missing = history.firstStep(missingIn: files.steps)
        if let missing { try files.keep(through: missing - 1) }
        let now = clock()
        // Readers take files in the order of their names, also where the clock was set back.
        second = max(Int(max(0, min(now, 9e9))), files.newestSecond + 1)

        let last = missing.map { $0 - 1 } ?? step
        head.addVersion(time: now)
        head.addStart(time: now, step: last + 1)
        if !files.hasConfiguration {
            head.addText(time: now, step: last, tag: EventFiles.configurationTag, Self.table(options))
        }
        guard let missing else { return }
        for (metrics, age) in history.metrics(from: missing) {
            add(metrics, time: now - age)
            if records.bytes.count >= 1 << 20 { write() }
        }
        if !records.bytes.isEmpty { write() }
    }

    /// Adds a step's scalars. A full disk must not end the run: the record is counted as lost, and what was written of it
    /// is taken away again, now or before the next one.
    package func append(_ metrics: StepMetrics) {
        add(metrics, time: clock())
        write()
    }

    package func append(_ sample: TextSample) {
        // A block of code, so that Markdown leaves it as it is.
        let lines = (sample.prompt + sample.text).split(separator: "\n", omittingEmptySubsequences: false)
        let text = lines.map { "    " + $0 }.joined(separator: "\n")
        records.addText(time: clock(), step: sample.step, tag: "samples", text)
        write()
    }

    package func synchronize() {
        guard let file else { return }
        try? file.synchronize()
        guard !isEntryDurable else { return }
        do throws(FileSystemError) {
            try fileSystem.synchronizeDirectory(directory)
            isEntryDurable = true
        } catch {
            // Again with the next checkpoint.
        }
    }

    private func add(_ metrics: StepMetrics, time: Double) {
        records.addSummary(time: time, step: metrics.step) { summary in
            for (scalar, tag) in scalars {
                if let value = scalar.value(in: metrics, bytesPerToken: bytesPerToken) { tag.add(value, to: &summary) }
            }
        }
    }

    /// Writes the records in one go.
    private func write() {
        defer { records.removeAll() }
        do throws(FileSystemError) {
            let bytes = wholeSize == 0 ? head.bytes + records.bytes : records.bytes
            try openFile().append(bytes, behind: &wholeSize)
        } catch {
            lostRecords += 1
            if lostRecords == 1 { onLoss?() }
        }
    }

    private func openFile() throws(FileSystemError) -> OutputFile {
        if let file { return file }
        let host = String(currentHostName().map { $0 == "/" ? "-" : $0 })
        let name = "\(EventFiles.prefix)\(padded("\(second)", to: 10)).\(host).\(getpid()).0\(EventFiles.suffix)"
        // To append: after a cut the next record stands at the end, not behind a hole.
        let made = try OutputFile(appendingTo: directory.appending(name), fileSystem: fileSystem)
        file = made
        return made
    }

    /// Options as a Markdown table.
    private static func table(_ options: [(name: String, value: String)]) -> String {
        let rows = options.map { name, value in
            "| \(name) | `\(printable(value, limit: .max).replacing("`", with: "'"))` |"
        }
        return (["| option | value |", "|---|---|"] + rows).joined(separator: "\n")
    }
}

extension EventLog {
    /// The event files of a run, nil where it wants none: then those that are there lose what the run will make again.
    /// - Throws: as `init`.
    convenience init?(
        of configuration: TrainingConfiguration, in directory: RunDirectory, keepingThrough step: Int,
        bytesPerToken: Double?, fileSystem: any FileSystem, onLoss: @escaping () -> Void
    ) throws(FileSystemError) {
        guard configuration.hasEvents else {
            var files = try EventFiles(in: directory.path, fileSystem: fileSystem)
            try files.keep(through: step)
            return nil
        }
        try self.init(
            in: directory.path, keepingThrough: step, metrics: directory.metricsPath, options: configuration.values,
            bytesPerToken: bytesPerToken, fileSystem: fileSystem, onLoss: onLoss)
    }
}
