import Basics

/// The page that `swiftlet report` writes: one file with everything in it. Charts are drawn by its script; tables and
/// texts stand in it as they are.
package struct ReportPage {
    let runs: [RunHistory]
    let trace: TraceSummary?
    private let version: String

    /// - Parameters:
    ///   - runs: at least one.
    ///   - trace: where a step's time goes, where that was recorded.
    ///   - version: of the program.
    package init(_ runs: [RunHistory], trace: TraceSummary?, version: String) {
        self.runs = runs
        self.trace = trace
        self.version = version
    }

    /// The file.
    package var html: [UInt8] {
        let title = runs.count == 1 ? "Run \(runs[0].name)" : "\(runs.count) runs"
        let sections = [summary, stepTimes, samples, options, starts, checkpoints].compactMap { $0 }
        let page = HTML.filled(
            Self.resource(PackageResources.report_html),
            [
                "title": HTML.text(title),
                "subtitle": HTML.text(
                    "swiftlet \(version). Times are those of steps; evaluations, saves and stops are not in them."),
                "style": Self.resource(PackageResources.report_css), "sections": sections.joined(),
                "data": ReportData(runs).html, "script": Self.resource(PackageResources.report_js),
            ])
        return Array(page.utf8)
    }

    private static func resource(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
