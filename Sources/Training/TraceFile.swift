import Foundation
import Kernels

/// A timeline in Chrome's trace-event format: open it in Perfetto or chrome://tracing. One process a rank.
enum TraceFile {
    /// The events of one rank as lines of JSON, times in microseconds from `origin`.
    static func lines(_ events: [Timeline.Event], rank: Int, origin: UInt64) -> String {
        events.map { event in
            let start = Double(event.start &- origin) / 1000
            let duration = Double(event.end &- event.start) / 1000
            let layer = event.layer >= 0 ? ",\"args\":{\"layer\":\(event.layer)}" : ""
            let name = event.layer >= 0 ? "h.\(event.layer) \(event.phase)" : "\(event.phase)"
            return "{\"name\":\"\(name)\",\"cat\":\"\(event.phase)\",\"ph\":\"X\",\"pid\":\(rank),\"tid\":0,"
                + "\"ts\":\(start),\"dur\":\(duration)\(layer)}"
        }.joined(separator: ",\n")
    }

    /// Writes the ranks' lines as one file.
    static func write(_ ranks: [String], to path: String) throws(TrainingError) {
        let names = ranks.indices.map {
            "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":\($0),\"args\":{\"name\":\"rank \($0)\"}}"
        }
        let text = "[\n" + (names + ranks.filter { !$0.isEmpty }).joined(separator: ",\n") + "\n]\n"
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw TrainingError(73, "cannot write the trace \(path): \(error.localizedDescription)")
        }
    }
}
