import Basics
import Foundation
import RunReports
import Testing

/// The page: everything in it, nothing of what it shows can be taken for a part of it.
@Suite struct ReportPageTests {
    private let fixture: RunFixture

    init() throws { fixture = try RunFixture() }

    private func page(_ runs: FilePath..., trace: TraceSummary? = nil) throws -> String {
        let page = ReportPage(try RunHistory.read(runs), trace: trace, version: "1.2.3")
        return String(decoding: page.html, as: UTF8.self)
    }

    private static let resources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Sources/RunReports/Resources").standardized.path

    @Test func thePageAsksForNothing() throws {
        let html = try page(fixture.run("run", steps: 30))
        for word in [
            "http:", "https:", "src=", "@import", "url(", "fetch(", "XMLHttpRequest", "import(",
            "<link rel=\"stylesheet",
        ] {
            #expect(!html.contains(word), "\(word)")
        }
        #expect(html.contains("default-src 'none'"))
        #expect(html.hasPrefix("<!doctype html>") && html.hasSuffix("</html>\n"))
        #expect(!html.contains("{{"))
        #expect(html.components(separatedBy: "<script").count == 3)
        // What was built is what stands in the tree.
        for name in ["report.js", "report.css"] {
            #expect(html.contains(try String(contentsOfFile: Self.resources + "/" + name, encoding: .utf8)), "\(name)")
        }
    }

    @Test func theScriptIsOneFileToRead() throws {
        let script = try String(contentsOfFile: Self.resources + "/report.js", encoding: .utf8)
        let lines = script.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count < 500)
        #expect(lines.allSatisfy { $0.count <= 150 }, "\(lines.filter { $0.count > 150 })")
        #expect(!script.contains("</"))
    }

    /// Names and texts of all kinds of files, as anyone could write them.
    @Test func nothingFromFilesIsMarkup() throws {
        let evil = "</script><img src=x onerror=alert(1)>\"'&{{data}}\u{202E}"
        // A comment that begins in a script hides the script's end.
        let name = "a<b>&{{style}}\"'<!--<script>"
        let path = try fixture.run(name, steps: 5)
        let other = try fixture.run("plain", steps: 5)
        func json(_ members: [(String, String)]) -> String {
            JSONText.object(members.map { ($0, JSONText.string($1)) }).text
        }
        try fixture.write(name + "/config.json", json([(evil, evil), ("steps", "5")]))
        let start =
            #"{"time":\#(JSONText.string(evil).text),"step":0,"host":\#(JSONText.string(evil).text),"command":\#(JSONText.string(evil).text)}"#
        let end =
            #"{"time":"t","step":3,"outcome":\#(JSONText.string(evil).text),"reason":\#(JSONText.string(evil).text)}"#
        try fixture.write(name + "/starts.jsonl", start + "\n" + end + "\n")
        try fixture.write(
            name + "/samples.jsonl",
            #"{"step":1,"prompt":\#(JSONText.string(evil).text),"text":\#(JSONText.string(evil + "\n\u{1B}[31m").text)}"#
                + "\n")
        let html = try page(path, other)
        #expect(!html.contains("<img") && !html.contains("\u{202E}") && !html.contains("\u{1B}"))
        #expect(html.components(separatedBy: "</script>").count == 3)
        let data = try #require(html.range(of: "id=\"data\">"))
        #expect(html[data.upperBound...].prefix { $0 != "<" }.hasSuffix("}"), "the data have no < of their own")
        #expect(html.components(separatedBy: "{{data}}").count > 5, "a value is no place for another one")
        #expect(html.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"))
    }

    /// The numbers that the script is given, read as it reads them.
    @Test func theData() throws {
        let path = try fixture.run("run", steps: 25)
        try fixture.write(
            "run/starts.jsonl", "{\"time\":\"t\",\"step\":0}\n{\"time\":\"t\",\"step\":9,\"outcome\":\"stopped\"}\n")
        let html = try page(path)
        let start = try #require(html.range(of: "id=\"data\">"))
        let end = try #require(html[start.upperBound...].range(of: "</script>"))
        let json = try JSONSerialization.jsonObject(with: Data(html[start.upperBound..<end.lowerBound].utf8))
        let run = try #require(((json as? [String: Any])?["runs"] as? [[String: Any]])?.first)
        #expect(run["name"] as? String == "run")
        let series = try #require((run["series"] as? [String: [String: String]])?["train_loss"])
        func words(_ text: String?) throws -> [UInt32] {
            let data = try #require(text.flatMap { Data(base64Encoded: $0) })
            return stride(from: 0, to: data.count, by: 4).map { at in
                (0..<4).reduce(0) { $0 | UInt32(data[at + $1]) << (8 * UInt32($1)) }
            }
        }
        #expect(try words(series["step"]) == Array(1...25))
        #expect(try words(series["value"]).map(Float.init(bitPattern:)) == (1...25).map { Float(1 + 1 / Double($0)) })
        let axis = try #require(run["axis"] as? [String: String])
        #expect(try words(axis["tokens"]).last.map(Float.init(bitPattern:)) == 250)
        let events = try #require(run["events"] as? [[String: Any]])
        #expect(events.count == 1 && events[0]["kind"] as? String == "stopped" && events[0]["step"] as? Int == 9)
    }

    @Test func tablesSayWhatIsThere() throws {
        let (a, b) = (try fixture.run("a", steps: 20), try fixture.run("b", steps: 30))
        try fixture.write("a/config.json", "{\"steps\":\"20\",\"seed\":\"1\",\"layers\":\"2\"}")
        try fixture.write("b/config.json", "{\"steps\":\"30\",\"seed\":\"1\"}")
        let html = try page(a, b)
        #expect(html.contains("<tr class=\"differs\"><th scope=\"row\">steps</th><td>20</td><td>30</td></tr>"))
        #expect(html.contains("<tr class=\"differs\"><th scope=\"row\">layers</th><td>2</td><td>–</td></tr>"))
        #expect(html.contains("<tr class=\"same\"><th scope=\"row\">seed</th><td>1</td><td>1</td></tr>"))
        #expect(html.contains(">20 / 20<") && html.contains("11.0000 at step 10"))
        #expect(!html.contains("id=\"samples\"") && !html.contains("id=\"checkpoints\""))
        let alone = try page(a)
        #expect(
            !alone.contains("only-differences\">") && alone.contains("<tr><th scope=\"row\">steps</th><td>20</td></tr>")
        )
    }

    @Test func manySamplesAreThinnedToTheNewest() throws {
        let path = try fixture.run("run", steps: 2)
        let lines = (1...100).map { "{\"step\":\($0),\"text\":\"written \($0).\"}\n" }
        try fixture.write("run/samples.jsonl", lines.joined())
        let html = try page(path)
        #expect(html.contains("written 100.") && html.contains("written 1.") && html.contains("(24 of 100)"))
        #expect(html.components(separatedBy: "<details").count == 25)
        #expect(html.contains("<details open><summary>step 100</summary>"))
    }

    @Test func aTraceSaysWhereAStepGoes() throws {
        let file = try fixture.write(
            "trace.json",
            """
            [
            {"name":"process_name","ph":"M","pid":0,"args":{"name":"rank 0"}},
            {"name":"step 3","cat":"step","ph":"X","pid":0,"tid":0,"ts":0,"dur":4000},
            {"name":"attention","cat":"work","ph":"X","pid":0,"tid":0,"ts":0,"dur":1000},
            {"name":"attention","cat":"work","ph":"X","pid":0,"tid":0,"ts":9,"dur":2000},
            {"name":"head","cat":"work","ph":"X","pid":0,"tid":0,"ts":9,"dur":500},
            {"name":"forward","cat":"phase","ph":"X","pid":0,"tid":0,"ts":9,"dur":900},
            {"name":"step 4","cat":"step","ph":"X","pid":1,"tid":0,"ts":0,"dur":6000}
            ]
            """)
        let trace = try TraceSummary(path: file)
        #expect(trace.stepMilliseconds == 5)
        #expect(trace.parts.map(\.name) == ["attention", "head"] && trace.parts.map(\.milliseconds) == [1.5, 0.25])
        let html = try page(fixture.run("run", steps: 3), trace: trace)
        #expect(
            html.contains(
                "<th scope=\"row\">attention</th><td class=\"number\">1.50</td><td class=\"number\">30.0</td>"))
        #expect(html.contains("<th scope=\"row\">other</th><td class=\"number\">3.25</td>"))
        for text in ["[]", "{", "{}", "text"] {
            let bad = try fixture.write("bad.json", text)
            #expect(throws: ExitError.self) { try TraceSummary(path: bad) }
        }
    }

    @Test func aLongRunIsASmallPage() throws {
        let path = try fixture.run("run", steps: 60_000) { "\(Double(($0 * 7919) % 10_007) / 977)" }
        #expect(try page(path).utf8.count < 600_000)
    }
}
