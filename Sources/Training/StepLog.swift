import Basics

/// A file of one JSON object a line, each of a step: lines are whole or absent, and the file always reads as one run.
package final class StepLog {
    /// Lines that could not be written.
    package private(set) var lostLines = 0
    /// Lines that were there and stay.
    let keptLines: Int
    /// Called at the first line that could not be written.
    var onLoss: (() -> Void)?
    private let file: OutputFile
    /// Bytes of whole lines.
    private var wholeSize: Int

    /// Opens the file and drops the lines after `step`, which a resumed run will make again, and what is no whole line.
    /// - Throws: `FileSystemError` (73 or 74) when it cannot be written.
    init(path: FilePath, keepingThrough step: Int, fileSystem: any FileSystem) throws(FileSystemError) {
        let text = try InputFile.contents(ifPresent: path, limit: .max, fileSystem: fileSystem) ?? []
        let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        let kept = lines.filter { line in Self.stepNumber(of: line).map { $0 <= step } ?? false }
        let whole = kept.reduce(0) { $0 + $1.count + 1 }
        if whole != text.count { try fileSystem.replaceFile(path, with: kept.flatMap { $0 + [0x0A] }) }
        keptLines = kept.count
        file = try OutputFile(appendingTo: path, fileSystem: fileSystem)
        wholeSize = whole
    }

    /// Adds a line. A full disk must not end the run: the line is counted as lost, and what was written of it is taken
    /// away again, now or before the next line.
    /// - Parameter json: an object whose first member is `step`.
    func append(_ json: String) {
        do throws(FileSystemError) {
            try file.append(Array((json + "\n").utf8), behind: &wholeSize)
        } catch {
            lostLines += 1
            if lostLines == 1 { onLoss?() }
        }
    }

    /// Makes what was written durable, with the checkpoint that it belongs to.
    func synchronize() { try? file.synchronize() }

    /// The step of a line that this program wrote.
    static func stepNumber(of line: ArraySlice<UInt8>) -> Int? {
        let prefix = Array("{\"step\":".utf8)
        guard line.starts(with: prefix) else { return nil }
        return Int(String(decoding: line.dropFirst(prefix.count).prefix { (0x30...0x39).contains($0) }, as: UTF8.self))
    }
}
