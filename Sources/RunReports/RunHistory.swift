import Basics
import Checkpointing

/// A run directory, read for a report: what it measured, how it was told to run, when and where it ran, what it saved.
package struct RunHistory: Sendable {
    /// What readers call it; no two runs of a report have the same.
    package internal(set) var name: String
    /// As it was given.
    package let path: FilePath
    package let metrics: MetricsHistory
    /// The options of the newest start with their values; empty where `config.json` is missing or is none.
    package let options: [(name: String, value: String)]
    /// Starts and ends, in their order.
    package let starts: [StartRecord]
    package let samples: [SampleRecord]
    /// Highest step first.
    package let checkpoints: [CheckpointDirectory.Glance]
    /// What could not be read and is left out, a line each.
    package let warnings: [String]

    /// Reads what is in a run directory.
    /// - Parameters:
    ///   - parts: how finely `metrics.jsonl` is kept, see `MetricsHistory`.
    ///   - metricsOnly: leaves all else out.
    /// - Throws: `ExitError`: 66 where there is no run, 65 where it has no step yet.
    package init(
        path: FilePath, parts: Int = 2000, threads: Int, metricsOnly: Bool = false,
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        guard let status = try? fileSystem.status(path, followLinks: true) else {
            throw ExitError(.missingInput, "there is no run \(path.shown); check the path")
        }
        guard status.kind == .directory else {
            throw ExitError(
                .badInput, "\(path.shown) is \(status.kind.rawValue), expected a run directory, the --run-dir of train")
        }
        let file = path.appending("metrics.jsonl")
        guard fileSystem.exists(file) else {
            throw ExitError(
                .missingInput,
                "\(path.shown) is no run: it has no metrics.jsonl; give a run directory, the --run-dir of train")
        }
        metrics = try MetricsHistory(path: file, parts: parts, threads: threads, fileSystem: fileSystem)
        guard metrics.lineCount > 0 else {
            throw ExitError(
                .badInput,
                metrics.strangeLines > 0
                    ? "no line of \(file.shown) is of a step; check that train wrote it"
                    : "\(file.shown) has no step yet; wait until the run has made one")
        }
        self.path = path
        name = Self.lastName(of: path)
        var warnings: [String] = []
        if metrics.strangeLines > 0 {
            warnings.append("\(file.shown): \(metrics.strangeLines) lines are of no step and are left out")
        }
        func lines(_ name: String) -> [JSON] {
            let file = path.appending(name)
            do {
                let text = try InputFile.contents(ifPresent: file, limit: 1 << 30, fileSystem: fileSystem) ?? []
                return text.split(separator: 0x0A).compactMap { try? JSON(Array($0)) }
            } catch {
                warnings.append("left out: \(error)")
                return []
            }
        }
        starts = metricsOnly ? [] : lines("starts.jsonl").compactMap(StartRecord.init)
        samples = metricsOnly ? [] : lines("samples.jsonl").compactMap(SampleRecord.init)
        var options: [(name: String, value: String)] = []
        if !metricsOnly {
            let file = path.appending("config.json")
            do {
                let text = try InputFile.contents(ifPresent: file, fileSystem: fileSystem)
                for (name, value) in try text.map({ try JSON($0) })?.members ?? [] {
                    options.append((String(decoding: name, as: UTF8.self), value.string ?? value.source))
                }
            } catch {
                warnings.append("left out: \(file.shown): \(error)")
            }
        }
        self.options = options
        checkpoints =
            metricsOnly
            ? [] : CheckpointDirectory(path: path.appending("checkpoints"), fileSystem: fileSystem).glance()
        self.warnings = warnings
    }

    /// The last name of a path that is one; `.` and `..` say nothing, so they bring the whole path.
    private static func lastName(of path: FilePath) -> String {
        let last = path.lastComponent?.string ?? path.shown
        return last == "." || last == ".." ? path.shown : printable(last)
    }

    /// Reads several runs, each under a name of its own: its directory's, or the path where two of these are the same.
    /// - Throws: as for one; 64 where a run is given twice.
    package static func read(_ paths: [FilePath], parts: Int = 2000, metricsOnly: Bool = false) throws -> [RunHistory] {
        var seen: Set<FileStatus.Identity> = []
        for path in paths {
            // What is not there is said below.
            guard let status = try? LocalFileSystem().status(path, followLinks: true) else { continue }
            guard seen.insert(status.identity).inserted else {
                throw ExitError(.usage, "\(path.shown) is given twice; give each run once")
            }
        }
        let threads = Machine().usableThreads
        var runs = try paths.map { try RunHistory(path: $0, parts: parts, threads: threads, metricsOnly: metricsOnly) }
        let names = runs.map(\.name)
        for index in runs.indices where names.count(where: { $0 == names[index] }) > 1 {
            runs[index].name = runs[index].path.shown
        }
        return runs
    }

    /// The option's value of the newest start.
    func option(_ name: String) -> String? { options.first { $0.name == name }?.value }
}
