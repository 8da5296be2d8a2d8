import Basics
import Foundation
import RunReports
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// What `swiftlet plot` draws.
@Suite struct ChartTests {
    private let fixture: RunFixture

    init() throws { fixture = try RunFixture() }

    private func chart(
        _ names: [String], _ metric: Chart.Metric = .loss, _ axis: Chart.Axis = .step, isLog: Bool = false,
        reach: Double = 0
    ) throws -> Chart {
        let runs = try RunHistory.read(names.map { FilePath(fixture.root + "/" + $0) })
        return try Chart(runs, metric: metric, axis: axis, isLog: isLog, reach: reach)
    }

    @Test(arguments: [
        (0.0, 10.0, false, [0.0, 2, 4, 6, 8, 10]), (1.3, 1.9, false, [1.4, 1.6, 1.8]),
        (-1, 1, false, [-1, -0.5, 0, 0.5, 1]),
        (1, 1000, true, [1, 10, 100, 1000]), (2e-5, 3e-4, true, [5e-5, 1e-4]), (0.001, 0.001, true, [0.001]),
        (0, 1e6, false, [0, 2e5, 4e5, 6e5, 8e5, 1e6]),
    ])
    func ticks(low: Double, high: Double, isLog: Bool, expected: [Double]) {
        let scale = ChartScale(low, high, isLog: isLog)
        let found = scale.ticks(5)
        for value in expected {
            #expect(found.contains { ($0 - value).magnitude <= 1e-9 * value.magnitude }, "\(value) in \(found)")
        }
        #expect((2...12).contains(found.count) && found == found.sorted(), "\(found)")
        #expect(found.allSatisfy { (-0.001...1.001).contains(scale.share($0)) })
    }

    @Test func numbersOfAxes() {
        for (value, text) in [
            (0.0, "0"), (1.5, "1.5"), (250, "250"), (-3, "-3"), (20_000, "20k"), (1_500_000, "1.5M"), (4e9, "4G"),
            (0.001, "0.001"),
            (0.0003, "3e-4"), (9999, "9999"),
        ] {
            #expect(shortNumber(value) == text)
        }
    }

    @Test func axesGoByStepsTokensAndHours() throws {
        try fixture.run("run", steps: 40)
        #expect(try chart(["run"]).curves[0].x == (1...40).map(Double.init))
        #expect(try chart(["run"], .loss, .tokens).curves[0].x == (1...40).map { Double($0 * 10) })
        let hours = try chart(["run"], .loss, .hours).curves[0].x
        for (index, hour) in hours.enumerated() { #expect((hour * 3600 - 0.5 * Double(index + 1)).magnitude < 1e-9) }
        #expect(try chart(["run"], .validationLoss).curves[0].y == [11, 21, 31, 41])
        #expect(try chart(["run"], .speed).curves[0].y == [Double](repeating: 20, count: 40))
    }

    /// The mean of equal numbers is their number from the first on; a step in the numbers is followed at its rate.
    @Test func smoothing() throws {
        try fixture.run("run", steps: 400) { $0 <= 200 ? "3.0" : "1.0" }
        let curve = try chart(["run"], reach: 20).curves[0]
        #expect(curve.y[..<190].allSatisfy { ($0 - 3).magnitude < 1e-12 })
        let place = try #require(curve.x.firstIndex { $0 >= 220 })
        #expect((curve.y[place] - (1 + 2 * exp(-1))).magnitude < 0.08, "\(curve.y[place])")
        #expect((try #require(curve.y.last) - 1).magnitude < 0.001)
    }

    @Test func logarithmsAreOfWhatIsAboveZero() throws {
        try fixture.run("run", steps: 10) { "\($0 - 5)" }
        #expect(try chart(["run"], isLog: true).curves[0].y == [1, 2, 3, 4, 5])
        try fixture.run("none", steps: 10) { "\(-$0)" }
        #expect(throws: ExitError.self) { try chart(["none"], isLog: true) }
        try fixture.run("unevaluated", steps: 5)
        #expect(throws: ExitError.self) { try chart(["unevaluated"], .validationLoss) }
    }

    @Test func theSVGIsXML() throws {
        try fixture.run("a<b>&\"'", steps: 300)
        try fixture.run("one", steps: 1)
        for axis in Chart.Axis.allCases {
            let svg = try chart(["a<b>&\"'", "one"], .loss, axis, isLog: axis == .step).svg
            let parser = XMLParser(data: Data(svg))
            #expect(parser.parse(), "\(String(describing: parser.parserError))")
            let text = String(decoding: svg, as: UTF8.self)
            #expect(text.contains("a&lt;b&gt;&amp;&quot;&#39;"))
            #expect(!text.contains(/\b(nan|inf)\b/), "a place that is no number")
            #expect(text.components(separatedBy: "<circle").count == 2, "a run of one step is a point")
        }
    }

    @Test("no line of the terminal's chart is wider than it", arguments: [24, 40, 80, 200])
    func theTextFits(columns: Int) throws {
        try fixture.run("first", steps: 200)
        try fixture.run("second", steps: 100) { "\(2 + 1 / Double($0))" }
        for names in [["first"], ["first", "second"]] {
            let text = try chart(names).text(columns: columns, rows: 12, hasColours: false)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.allSatisfy { $0.count <= columns }, "\(text)")
            #expect(lines.count == 1 + (names.count > 1 ? 2 : 0) + 12 + 2)
            #expect(!text.contains("\u{1B}"))
            #expect(lines[lines.count - 2].contains("└─") && lines.last?.contains("100") == true, "\(text)")
            if names.count > 1 {
                #expect(lines[1] == "A first" && lines[2] == "B second" && lines[8].contains("B"), "\(text)")
            }
        }
        let colourful = try chart(["first", "second"]).text(columns: columns, rows: 12, hasColours: true)
        #expect(colourful.contains("\u{1B}[34m") && colourful.contains("\u{1B}[33m"))
    }

    /// A line from one corner to the other: dots on the diagonal and nowhere else.
    @Test func dotsAreWhereTheNumbersAre() throws {
        try fixture.run("run", steps: 100) { "\($0)" }
        let text = try chart(["run"]).text(columns: 48, rows: 10, hasColours: false)
        let rows = text.split(separator: "\n").dropFirst().prefix(10).map { line -> [Int] in
            let cells = line.drop { $0 != "│" && $0 != "┤" }.dropFirst()
            return cells.enumerated().filter { $0.element != " " }.map(\.offset)
        }
        let width = text.split(separator: "\n").last { $0.contains("└") }?.count { $0 == "─" } ?? 0
        for (row, columns) in rows.enumerated() {
            for column in columns {
                let (x, y) = ((Double(column) + 0.5) / Double(width), 1 - (Double(row) + 0.5) / 10)
                // The scale of the values has 4 % around it.
                #expect((x * 0.92 + 0.04 - y).magnitude < 0.12, "\(text)")
            }
            #expect(!columns.isEmpty, "\(text)")
        }
    }
}
