import Basics

/// `samples.jsonl`: what the model wrote, one line a sample.
package final class SamplesLog: RunRecord {
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
    }

    package func append(_ metrics: StepMetrics) {}
    package func append(_ sample: TextSample) { log.append(sample.json) }
    package func synchronize() { log.synchronize() }
}

extension TextSample {
    /// The members of its line of `samples.jsonl`.
    var members: [(String, JSONText)] {
        [("step", .number(step)), ("prompt", .string(prompt)), ("text", .string(text))]
    }

    /// The line of `samples.jsonl`, without its newline.
    package var json: String { JSONText.object(members).text }

    /// The lines of the log: which step and prompt, then the text line by line, safe for a terminal.
    package var logLines: [String] {
        let start = prompt.isEmpty ? "a text from its beginning" : "after \(quoted(prompt))"
        let lines = text.replacing("\t", with: "    ")
            .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return ["sample at step \(step), \(start):"] + lines.map { "  " + printable(String($0), limit: .max) }
    }
}
