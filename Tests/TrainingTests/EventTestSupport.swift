import Basics
import Foundation
import Testing
import Training

/// A value of a step in the event files of a folder.
struct EventPoint: Equatable, CustomStringConvertible {
    let tag: String
    let step: Int
    /// Equal bits are equal numbers, NaN too.
    let bits: UInt32?
    let text: String?
    let time: Double
    var description: String { "\(tag) at \(step): \(bits.map { "\(Float(bitPattern: $0))" } ?? text ?? "nothing")" }
}

/// The event files of a folder, in their readers' order.
func eventFiles(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.contains("tfevents") }.sorted()
        .map { folder + "/" + $0 }
}

func events(_ path: String) throws -> [RecordedEvent] {
    var events: [RecordedEvent] = []
    var read = 0
    let size = try RecordedEvent.forEach(in: FilePath(path)) { event, end in
        events.append(event)
        read = end
    }
    #expect(read == size, "\(path) is no whole number of records")
    return events
}

/// Every value of a folder's event files, as a reader sees them that knows nothing of starts.
func eventPoints(_ folder: String) throws -> [EventPoint] {
    try eventFiles(folder).flatMap { path in
        try events(path).flatMap { event in
            event.values.map {
                EventPoint(
                    tag: $0.tag, step: event.step, bits: $0.scalar?.bitPattern, text: $0.text, time: event.time)
            }
        }
    }
}

/// Checks that the scalars of a run are the numbers of its metrics.jsonl, each once and in order.
func expectEventsOfMetrics(
    _ folder: String, bytesPerToken: Double? = nil, location: SourceLocation = #_sourceLocation
) throws {
    let text = try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
    let lines = text.split(separator: "\n").compactMap { StepMetrics(json: $0.utf8) }
    let points = try eventPoints(folder)
    #expect(!lines.isEmpty, sourceLocation: location)
    for scalar in EventScalar.allCases {
        let expected = lines.compactMap { line in
            scalar.value(in: line, bytesPerToken: bytesPerToken).map { "\(line.step) \(Float($0).bitPattern)" }
        }
        let found = points.filter { $0.tag == scalar.rawValue }.map { "\($0.step) \($0.bits ?? 0)" }
        #expect(found == expected, "\(scalar.rawValue)", sourceLocation: location)
    }
    #expect(points.filter { $0.tag == "config" }.count == 1, sourceLocation: location)
}
