import Basics

/// Text of a page. What comes from elsewhere gets into it through `text` alone, which leaves nothing that could be a
/// tag, end an attribute or turn the direction of what follows.
package enum HTML {
    /// Text on one line.
    package static func text(_ text: String, limit: Int = 4096) -> String { escaped(printable(text, limit: limit)) }

    /// Text of several lines, as in a sample.
    package static func lines(_ text: String, limit: Int) -> String {
        let shown = text.unicodeScalars.prefix(limit).split(separator: "\n", omittingEmptySubsequences: false)
        let lines = shown.map { self.text(String(String.UnicodeScalarView($0)), limit: .max) }
        return lines.joined(separator: "\n") + (text.unicodeScalars.count > limit ? "…" : "")
    }

    private static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;".unicodeScalars
            case "<": result += "&lt;".unicodeScalars
            case ">": result += "&gt;".unicodeScalars
            case "\"": result += "&quot;".unicodeScalars
            case "'": result += "&#39;".unicodeScalars
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// A section with a heading. `body` is HTML.
    package static func section(_ id: String, _ title: String, _ body: String) -> String {
        "<section id=\"\(id)\" aria-labelledby=\"\(id)-title\">\n"
            + "<h2 id=\"\(id)-title\">\(text(title))</h2>\n\(body)</section>\n"
    }

    /// A table. Cells are HTML; the first of each row is its heading.
    /// - Parameters:
    ///   - id: of the table; nil for none.
    ///   - numbers: columns that are set to the right.
    ///   - rowClass: the class of each row.
    package static func table(
        _ caption: String, id: String? = nil, header: [String], rows: [[String]], numbers: Set<Int> = [],
        rowClass: (Int) -> String? = { _ in nil }
    ) -> String {
        func cell(_ name: String, _ column: Int, _ html: String, _ scope: String? = nil) -> String {
            let scope = scope.map { " scope=\"\($0)\"" } ?? ""
            return "<\(name)\(scope)\(numbers.contains(column) ? " class=\"number\"" : "")>\(html)</\(name)>"
        }
        let head = header.enumerated().map { cell("th", $0, text($1), "col") }.joined()
        let body = rows.enumerated().map { index, row in
            let cells = row.enumerated().map { cell($0 == 0 ? "th" : "td", $0, $1, $0 == 0 ? "row" : nil) }
            let name = rowClass(index).map { " class=\"\($0)\"" } ?? ""
            return "<tr\(name)>\(cells.joined())</tr>\n"
        }
        return "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"\(text(caption))\">\n"
            + "<table\(id.map { " id=\"\($0)\"" } ?? "")>\n<thead><tr>\(head)</tr></thead>\n<tbody>\n\(body.joined())"
            + "</tbody>\n</table>\n</div>\n"
    }

    /// A template in which each `{{name}}` is replaced by its value, in one pass: what is in a value stays as it is.
    package static func filled(_ template: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = template[...]
        while let start = rest.firstRange(of: "{{"), let end = rest[start.upperBound...].firstRange(of: "}}") {
            let name = String(rest[start.upperBound..<end.lowerBound])
            guard let value = values[name] else { preconditionFailure("the template has no value for \(name)") }
            result += rest[..<start.lowerBound] + value
            rest = rest[end.upperBound...]
        }
        return result + rest
    }
}
