import Foundation
import Testing

/// A table of a page, with where it stands.
struct MarkdownTable: Sendable, CustomTestStringConvertible {
    /// The page's path in the tree.
    let page: String
    /// The heading above it.
    let heading: String
    let header: [String]
    let rows: [[String]]

    /// What a check is found by: page, heading and the names of the columns.
    var key: String { "\(page) › \(heading) › \(header.joined(separator: " | "))" }
    var testDescription: String { key }
}

/// The pages of this tree and what stands in them.
enum Pages {
    /// The tree that these tests were built from.
    static let root: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// Every page, by its path in the tree: at the top, in docs, of the reference programs and of the modules.
    static let all: [String] = {
        let top = ["README.md", "CONTRIBUTING.md"]
        let below = ["docs", "Tests", "Sources", "launch"].flatMap { folder in
            paths(under: folder).filter { $0.hasSuffix(".md") }
        }
        return top + below.sorted()
    }()

    /// Files below a folder, by their paths in the tree.
    static func paths(under folder: String) -> [String] {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: root + "/" + folder)) ?? []
        return names.map { folder + "/" + $0 }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOfFile: root + "/" + path, encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }

    /// Every table of every page.
    static let tables: [MarkdownTable] = all.flatMap { page in
        tables(in: (try? text(page)) ?? "", page: page)
    }

    static func tables(in text: String, page: String) -> [MarkdownTable] {
        var found: [MarkdownTable] = []
        var heading = ""
        var isCode = false
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        while let line = lines.popFirst() {
            if line.hasPrefix("```") { isCode.toggle() }
            guard !isCode else { continue }
            if line.hasPrefix("#") { heading = line.drop { $0 == "#" || $0 == " " }.description }
            guard line.hasPrefix("|"), let rule = lines.first, rule.hasPrefix("|"), rule.allSatisfy("|-: ".contains)
            else { continue }
            lines.removeFirst()
            var rows: [[String]] = []
            while let row = lines.first, row.hasPrefix("|") {
                rows.append(cells(row))
                lines.removeFirst()
            }
            found.append(MarkdownTable(page: page, heading: heading, header: cells(line), rows: rows))
        }
        return found
    }

    /// The cells of a line; a bar inside `code` is a letter of it.
    private static func cells(_ line: Substring) -> [String] {
        var cells: [String] = []
        var cell = ""
        var isCode = false
        for letter in line.dropFirst() {
            if letter == "`" { isCode.toggle() }
            if letter == "|", !isCode {
                cells.append(cell.trimmingCharacters(in: .whitespaces))
                cell = ""
            } else {
                cell.append(letter)
            }
        }
        return cells
    }

    /// The texts between backticks.
    static func code(in text: String) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}
