import ArgumentParser
import Basics
import RunReports

/// `swiftlet plot RUN...`
struct PlotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plot", abstract: "Draw one chart of runs, in the terminal or as an SVG file.",
        discussion: "Several runs are laid over one another.")

    @Argument(help: "Run directories, the --run-dir of train.", completion: .directory)
    var runs: [String]

    @Option(help: "What to draw.")
    var metric = Chart.Metric.loss

    @Option(help: "What to draw it over.")
    var x = Chart.Axis.step

    @Flag(help: "Draw the logarithm of the values.")
    var logY = false

    @Option(help: "Steps over which values are smoothed: the weight of earlier ones falls by e over as many. 0: none.")
    var smooth = 0.0

    @Option(
        parsing: .unconditional,
        help: "SVG file to write, instead of drawing in the terminal; - is standard output.", completion: .file())
    var output: String?

    func validate() throws {
        guard smooth >= 0, smooth.isFinite else {
            throw ValidationError("--smooth is \(smooth); it must be a number of steps, 0 or more")
        }
    }

    func run() throws {
        let paths = try runs.map { try FilePath(argument: $0) }
        let target = try output.map { try OutputTarget($0, endings: ["svg"], example: "chart.svg") }
        let histories = try RunHistory.read(paths, parts: 800, metricsOnly: true)
        for warning in histories.flatMap(\.warnings) { ConsoleReporter().warning(warning) }
        let chart = try Chart(histories, metric: metric, axis: x, isLog: logY, reach: smooth)
        if let target { return try target.write(chart.svg) }
        try StandardStreams.print(
            chart.text(
                columns: StandardStreams.outputColumns, rows: 16, hasColours: StandardStreams.outputHasColours))
    }
}

extension Chart.Metric: ExpressibleByArgument {
    /// The loss of training has the name of its field, too.
    package init?(argument: String) { self.init(rawValue: argument == MetricField.trainLoss.name ? "loss" : argument) }
}
extension Chart.Axis: ExpressibleByArgument {}
