import ArgumentParser
import Basics
import RunReports
import Training

/// `swiftlet report RUN...`
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write what runs did as one HTML page that needs nothing else.",
        discussion: """
            Loss, learning rate, gradient norm and speed over steps, tokens or hours, with runs laid over one another; \
            where a step goes, samples, configuration, starts and stops, checkpoints. Runs may go on meanwhile; nothing \
            in them is changed.
            """)

    @Argument(help: "Run directories, the --run-dir of train.", completion: .directory)
    var runs: [String]

    @Option(
        parsing: .unconditional, help: "File for the page; one that is there is replaced; - is standard output.",
        completion: .file())
    var output = "report.html"

    @Option(
        parsing: .unconditional,
        help: "File that train --trace wrote: shows where a step goes.", completion: .file())
    var trace: String?

    func run() throws {
        let paths = try runs.map { try FilePath(argument: $0) }
        let target = try OutputTarget(output, endings: ["html", "htm"], example: "report.html")
        let trace = try trace.map { try TraceSummary(path: FilePath(argument: $0)) }
        let histories = try RunHistory.read(paths)
        for warning in histories.flatMap(\.warnings) { ConsoleReporter().warning(warning) }
        let page = ReportPage(histories, trace: trace, version: swiftletVersion).html
        try target.write(page)
        guard let path = target.path else { return }
        let steps = histories.reduce(0) { $0 + $1.metrics.lineCount }
        let size = page.count < 1_000_000 ? "\(page.count / 1000) kB" : "\(fixed(Double(page.count) / 1e6, 1)) MB"
        try StandardStreams.print(
            "\(path.shown)  \(size)  \(histories.count) \(histories.count == 1 ? "run" : "runs")  \(steps) steps")
    }
}
