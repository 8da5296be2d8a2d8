import Basics

/// What the page's script draws, as JSON: numbers are arrays of 32 bits in base64.
struct ReportData {
    private let text: String

    /// What has a mark on the axis. Another word in the file is a row of the table alone.
    private static let marked: Set<String> = ["resumed", "stopped", "finished", "failed"]

    init(_ runs: [RunHistory]) {
        let list = runs.map { run -> JSONText in
            let metrics = run.metrics
            let series = MetricField.charted.compactMap { field -> (String, JSONText)? in
                guard let series = metrics.series[field] else { return nil }
                let members: [(String, JSONText)] = [
                    ("step", .base64(series.points.map(\.step))),
                    ("value", .base64(series.points.map(\.value.bitPattern))),
                    ("mean", .base64(series.means.map(\.bitPattern))), ("missing", .base64(series.missing)),
                ]
                return (field.name, .object(members))
            }
            let axis: [(String, JSONText)] = [
                ("step", .base64(metrics.steps)), ("count", .base64(metrics.counts)),
                ("tokens", .base64(metrics.tokens.map { Float($0).bitPattern })),
                ("hours", .base64(metrics.hours.map { Float($0).bitPattern })),
            ]
            let events = run.starts.filter { Self.marked.contains($0.kind) }.map { record -> JSONText in
                .object([("step", .number(record.step)), ("kind", .string(record.kind))])
            }
            return .object([
                ("name", .string(printable(run.name, limit: .max))), ("axis", .object(axis)),
                ("series", .object(series)),
                ("times", .base64(metrics.stepTimes.counts)), ("events", .array(events)),
            ])
        }
        let bins = (0...256).map { JSONText.number(Double(TimeHistogram.start(of: $0))) }
        text = JSONText.object([("runs", .array(list)), ("bins", .array(bins))]).text
    }

    /// For a script element: nothing in it can end the element, since `<` only stands in strings of JSON.
    var html: String { text.split(separator: "<", omittingEmptySubsequences: false).joined(separator: "\\u003c") }
}

extension JSONText {
    /// Numbers of 32 bits, the lowest byte first, as a string of base64.
    package static func base64(_ words: [UInt32]) -> JSONText {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } }
        var result: [UInt8] = [0x22]
        result.reserveCapacity(bytes.count * 4 / 3 + 8)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = 0
            for place in 0..<3 { group = group << 8 | (place < count ? Int(bytes[start + place]) : 0) }
            for place in 0..<4 {
                result.append(place <= count ? alphabet[group >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
            }
        }
        return .literal(String(decoding: result + [0x22], as: UTF8.self))
    }
}
