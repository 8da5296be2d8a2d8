import Basics

/// `metrics.jsonl`: one line a step.
package final class MetricsLog: RunRecord {
    /// Lines that could not be written.
    package var lostLines: Int { log.lostLines }
    /// At a resume: which lines of the steps before it are not there. One line, nil when all are.
    package let warning: String?
    private let log: StepLog

    /// Opens the file for what follows `step`, as `StepLog` does.
    /// - Parameter onLoss: called at the first line that could not be written.
    /// - Throws: `FileSystemError` (73 or 74) when it cannot be written.
    package init(
        path: FilePath, keepingThrough step: Int, fileSystem: any FileSystem = LocalFileSystem(),
        onLoss: (() -> Void)? = nil
    ) throws(FileSystemError) {
        log = try StepLog(path: path, keepingThrough: step, fileSystem: fileSystem)
        log.onLoss = onLoss
        warning =
            log.keptLines >= step
            ? nil
            : "\(path.shown) has the metrics of \(log.keptLines) of the \(step) steps so far; the others are not there"
    }

    package func append(_ metrics: StepMetrics) { log.append(metrics.json) }
    package func append(_ sample: TextSample) {}
    package func synchronize() { log.synchronize() }
}
