import Foundation
import Testing

/// The table of docs/distributed.md.
struct ExitCodeTable {
    struct Row: CustomStringConvertible, Sendable {
        /// 0 to 255; nil for the row of all signals.
        let code: Int32?
        /// The column of launch/restart.
        let restart: String
        var description: String { "\(code.map { "\($0)" } ?? "128 + s"): \(restart)" }
    }

    let rows: [Row]

    init() throws {
        let page = try String(contentsOfFile: LaunchTree.repository + "/docs/distributed.md", encoding: .utf8)
        let section = try #require(page.components(separatedBy: "\n## Exit codes\n").dropFirst().first)
        rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst().flatMap { line -> [Row] in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            return cells[0].split(separator: ", ").map { Row(code: Int32($0), restart: cells[2]) }
        }
        try #require(rows.count > 20)
    }

    static let all: [Row] = (try? ExitCodeTable().rows) ?? []
}
