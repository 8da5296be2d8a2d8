import Basics

extension Chart {
    /// The chart for a terminal: lines of dots, two by four in a character, with axes and their labels.
    /// - Parameters:
    ///   - columns: of the terminal; no line is wider.
    ///   - rows: of the field itself, without heading and axis.
    ///   - hasColours: whether runs are told apart by colours; else several runs are drawn as letters.
    package func text(columns: Int, rows: Int, hasColours: Bool) -> String {
        let ticks = vertical.ticks(max(2, rows / 4))
        let labels = ticks.map(shortNumber)
        let margin = (labels.map(\.count).max() ?? 0) + 2
        let width = max(10, columns - margin - 1)
        var field = TextField(width: width, rows: rows)
        for (index, curve) in curves.enumerated() {
            let points = zip(curve.x, curve.y).map { (x: horizontal.share($0), y: 1 - vertical.share($1)) }
            field.draw(points, as: index)
        }
        func painted(_ text: String, _ run: Int) -> String {
            // Blue, yellow, green, magenta, cyan, red: the six that terminals have.
            hasColours ? "\u{1B}[3\([4, 3, 2, 5, 6, 1][run % 6])m\(text)\u{1B}[0m" : text
        }
        let isLettered = curves.count > 1 && !hasColours
        func letter(_ run: Int) -> String { String(UnicodeScalar(UInt8(ascii: "A") + UInt8(run % 26))) }
        func cut(_ text: String) -> String { String(text.prefix(max(1, columns - 1))) }

        var lines = [cut("\(metric.title) over \(axis.title)")]
        for (index, curve) in curves.enumerated() where curves.count > 1 {
            let name = cut("\(isLettered ? letter(index) : "──") \(printable(curve.name))")
            lines.append(painted(name, index))
        }
        let places = ticks.map { rows - 1 - min(rows - 1, Int(vertical.share($0) * Double(rows))) }
        for row in 0..<rows {
            let label = places.firstIndex(of: row).map { labels[$0] } ?? ""
            let cells = (0..<width).map { column -> String in
                guard let cell = field[row, column] else { return " " }
                if isLettered { return letter(cell.run) }
                return painted(String(Character(UnicodeScalar(0x2800 + UInt32(cell.dots)) ?? " ")), cell.run)
            }
            let edge = label.isEmpty ? "│" : "┤"
            let line = String(repeating: " ", count: margin - 2 - label.count) + label + " " + edge + cells.joined()
            lines.append(Self.trimmed(line))
        }
        lines.append(String(repeating: " ", count: margin - 1) + "└" + String(repeating: "─", count: width))
        lines.append(axisLine(margin: margin, width: width))
        return lines.joined(separator: "\n")
    }

    /// The labels below the axis, those left out that would touch the one before.
    private func axisLine(margin: Int, width: Int) -> String {
        var line = ""
        for tick in horizontal.ticks(max(2, width / 12)) {
            let text = shortNumber(tick)
            let place = margin + min(width - 1, Int(horizontal.share(tick) * Double(width)))
            let start = max(0, min(place - text.count / 2, margin + width - text.count))
            guard line.isEmpty || start > line.count + 1 else { continue }
            line += String(repeating: " ", count: start - line.count) + text
        }
        return line
    }

    private static func trimmed(_ line: String) -> String {
        let end = line.lastIndex { $0 != " " }
        return end.map { String(line[...$0]) } ?? ""
    }
}

/// A field of characters with two by four dots in each.
private struct TextField {
    private let width: Int
    private let rows: Int
    private var cells: [(run: Int, dots: UInt8)?]
    /// The bit of each dot of a character of braille, by column and row.
    private static let bits: [[UInt8]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]

    init(width: Int, rows: Int) {
        self.width = width
        self.rows = rows
        cells = Array(repeating: nil, count: width * rows)
    }

    /// The dots of a character and the run that they are of; where several meet, the last.
    subscript(row: Int, column: Int) -> (run: Int, dots: UInt8)? { cells[row * width + column] }

    /// Draws a line through points whose coordinates go from 0 to 1, y from the top.
    mutating func draw(_ points: [(x: Double, y: Double)], as run: Int) {
        var last: (x: Int, y: Int)?
        for point in points where point.x.isFinite && point.y.isFinite {
            let x = min(2 * width - 1, max(0, Int(point.x * Double(2 * width))))
            let y = min(4 * rows - 1, max(0, Int(point.y * Double(4 * rows))))
            let from = last ?? (x, y)
            let count = max(abs(x - from.x), abs(y - from.y))
            for step in 0...count {
                let share = count == 0 ? 0 : Double(step) / Double(count)
                set(
                    from.x + Int((Double(x - from.x) * share).rounded()),
                    from.y + Int((Double(y - from.y) * share).rounded()), run)
            }
            last = (x, y)
        }
    }

    private mutating func set(_ x: Int, _ y: Int, _ run: Int) {
        let index = y / 4 * width + x / 2
        let dots = cells[index].map { $0.run == run ? $0.dots : 0 } ?? 0
        cells[index] = (run, dots | Self.bits[x % 2][y % 4])
    }
}
