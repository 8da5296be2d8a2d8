import Basics

/// The event files that the starts of a run so far left in its directory, in their order.
///
/// Each start writes a file of its own, because a reader that follows a file cannot be sent back in it. Its second
/// record says from which step on it goes, and what older files hold of that step and later ones is not the run's.
package struct EventFiles {
    /// What a name begins and ends with: other programs' event files in the same directory are left alone.
    static let (prefix, suffix) = ("events.out.tfevents.", ".swiftlet")
    /// Tag of the run's options, of which a run needs one.
    static let configurationTag = "config"

    private enum Content { case none, scalars, texts, configuration }

    private struct Record {
        let step: Int
        /// Offset behind it.
        let end: Int
        let content: Content
    }

    private struct File {
        let path: FilePath
        var size = 0
        var records: [Record] = []
        /// From which step on it goes.
        var start: Int?
    }

    private var files: [File]
    private let fileSystem: any FileSystem
    /// The newest second that a name has; 0 without files.
    let newestSecond: Int

    /// Reads what is there.
    /// - Throws: `FileSystemError` (65 or 66) when it cannot be read.
    package init(in directory: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws(FileSystemError) {
        self.fileSystem = fileSystem
        files = []
        var newest = 0
        for name in try fileSystem.names(in: directory) {
            let text = name.string
            guard text.hasPrefix(Self.prefix), text.hasSuffix(Self.suffix) else { continue }
            newest = max(newest, Int(text.dropFirst(Self.prefix.count).prefix { $0 != "." }) ?? 0)
            var file = File(path: directory.appending(name))
            var (records, start): ([Record], Int?) = ([], nil)
            file.size = try RecordedEvent.forEach(in: file.path, fileSystem: fileSystem) { event, end in
                if event.isStart { start = start ?? event.step }
                records.append(Record(step: event.step, end: end, content: Self.content(of: event)))
            }
            (file.records, file.start) = (records, start)
            files.append(file)
        }
        newestSecond = newest
    }

    private static func content(of event: RecordedEvent) -> Content {
        switch event.hasScalars {
        case nil: .none
        case true?: .scalars
        case false?: event.values.contains { $0.tag == configurationTag } ? .configuration : .texts
        }
    }

    /// The steps that have scalars, in their order.
    package var steps: [Int] { files.flatMap { $0.records.filter { $0.content == .scalars }.map(\.step) } }

    /// Whether the options of the run are there.
    var hasConfiguration: Bool { files.contains { $0.records.contains { $0.content == .configuration } } }

    /// Takes away what comes after `step`, what a newer file goes on before, and what is no whole record. A file of which
    /// nothing is left stays: a reader that follows it would not find its way to the next one.
    /// - Throws: `FileSystemError` (74) when it cannot.
    package mutating func keep(through step: Int) throws(FileSystemError) {
        var limit = step
        for index in files.indices.reversed() {
            let file = files[index]
            files[index].records = Array(file.records.prefix { $0.step <= limit })
            limit = min(limit, (file.start ?? .max) - 1)
            let end = files[index].records.last?.end ?? 0
            guard end < file.size else { continue }
            let output = try OutputFile(appendingTo: file.path, fileSystem: fileSystem)
            try output.truncate(to: end)
            try output.synchronize()
            files[index].size = end
        }
    }
}
