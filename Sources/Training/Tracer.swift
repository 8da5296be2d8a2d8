import Basics
import Collectives
import Kernels

/// `--trace FILE`: records three steps, gathers all ranks' events and writes them as one file, in Chrome's trace-event
/// format: open it in Perfetto or chrome://tracing.
///
/// One row a rank. Slices lie inside one another: step, phase, layer, piece of work; in a reduction, a slice for what was
/// done for each bucket.
///
/// The third to fifth step of a run, since the first ones fill caches; earlier ones where it has no more.
final class Tracer {
    private static let stepCount = 3
    /// What is recorded.
    let timeline = Timeline()
    private let path: FilePath
    private let firstStep: Int
    private var origin: UInt64?
    private var isWritten = false

    /// - Parameter step: the newest step before the run, `steps` its last one.
    init(path: FilePath, step: Int, steps: Int) {
        self.path = path
        firstStep = max(step + 1, min(step + 3, steps - Self.stepCount + 1))
    }

    /// Whether the recording begins with this step; the clock then starts.
    func begins(at step: Int) -> Bool {
        guard step == firstStep else { return false }
        origin = Timeline.now()
        return true
    }

    /// Whether this step was the recording's last.
    func ends(at step: Int) -> Bool { step == firstStep + Self.stepCount - 1 }

    /// Writes the events of all ranks, once. All ranks call it together.
    /// - Returns: false where there is nothing to write.
    func write(on communicator: any Communicator) throws -> Bool {
        guard let origin, !isWritten else { return isWritten }
        isWritten = true
        let own = lines(rank: communicator.rank, since: origin)
        let all = try communicator.gather(Array(own.utf8), root: 0)
        try communicator.agreeing {
            if communicator.rank == 0 { try Self.write(all.map { String(decoding: $0, as: UTF8.self) }, to: path) }
        }
        return true
    }

    /// The events of this rank as lines of JSON, times in microseconds from `origin`.
    private func lines(rank: Int, since origin: UInt64) -> String {
        // What holds other slices comes before them, though it ends after them.
        let ordered = timeline.events.sorted { ($0.start, $1.end) < ($1.start, $0.end) }
        return ordered.map { event in
            let start = Double(event.start &- origin) / 1000
            let duration = Double(event.end &- event.start) / 1000
            let (name, category, index) = event.description
            var members: [(String, JSONText)] = [
                ("name", .string(name)), ("cat", .string(category)), ("ph", "X"), ("pid", .number(rank)),
                ("tid", .number(0)), ("ts", .number(start)), ("dur", .number(duration)),
            ]
            if let index { members.append(("args", .object([(index, .number(event.index))]))) }
            return JSONText.object(members).text
        }.joined(separator: ",\n")
    }

    /// Writes the ranks' lines as one file.
    static func write(_ ranks: [String], to path: FilePath) throws(FileSystemError) {
        let names = ranks.indices.map { rank in
            JSONText.object([
                ("name", "process_name"), ("ph", "M"), ("pid", .number(rank)),
                ("args", .object([("name", .string("rank \(rank)"))])),
            ]).text
        }
        let text = "[\n" + (names + ranks.filter { !$0.isEmpty }).joined(separator: ",\n") + "\n]\n"
        try LocalFileSystem().replaceFile(path, with: Array(text.utf8))
    }
}

extension Timeline.Event {
    /// The slice's name, its category, and what its index counts.
    fileprivate var description: (name: String, category: String, index: String?) {
        switch phase {
        case .step: ("step \(index)", "step", "step")
        case .layer: ("h.\(index)", "layer", "layer")
        case .bucket: ("bucket \(index)", "bucket", "bucket")
        default:
            if let work = StepPart.workNames[phase] {
                (work, "work", index >= 0 ? "layer" : nil)
            } else {
                ("\(phase)", "phase", nil)
            }
        }
    }
}
