import Basics
import Checkpointing

/// The live display of a run: what it knows, and the lines that it makes of that. Draws nothing itself.
package struct RunDisplay: Sendable {
    /// Long work beside the steps, such as a save; nil for none.
    package var work: String?
    private var moment = RunMoment()
    private var pace = Pace()
    private var losses = LossHistory()
    private var validation: Double?
    private var best: (loss: Double, step: Int)?

    package init() {}

    /// Whether there is something to show.
    package var isEmpty: Bool { moment.metrics.step == 0 && work == nil }

    /// Takes in the newest step.
    /// - Parameter now: seconds of any clock.
    package mutating func add(_ moment: RunMoment, at now: Double) {
        self.moment = moment
        pace.add(seconds: moment.metrics.measured.milliseconds / 1000, at: now)
        losses.add(moment.metrics.measured.trainLoss)
        guard let loss = moment.metrics.validationLoss else { return }
        validation = loss
        if loss < best?.loss ?? .infinity { best = (loss, moment.metrics.step) }
    }

    /// A part of a line, with the number of its colour (SGR).
    private struct Field {
        let text: String
        var colour: Int?
    }

    private var metrics: StepMetrics { moment.metrics }

    private func bar(_ cells: Int) -> String {
        let filled = moment.steps > 0 ? min(cells, cells * metrics.step / moment.steps) : cells
        return String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
    }

    private var timeLeft: String {
        timeText(Double(moment.steps - metrics.step) * (pace.secondsPerStep ?? .nan)) + " left"
    }

    private var position: String { "\(metrics.step)/\(moment.steps)" }
    private var loss: String { "loss \(fixed(metrics.measured.trainLoss, 4))" }
    private var checkpoint: String {
        moment.checkpointStep.map { "checkpoint \(CheckpointName.directory(step: $0))" } ?? "no checkpoint yet"
    }
    private var speed: String { "\(fixed(metrics.measured.tokensPerSecond, 0)) tok/s" }

    /// All in one line, for a terminal that can do no more.
    package var line: String { work ?? "\(bar(30)) \(position)  \(loss)  \(speed)  \(timeLeft)" }

    /// The lines for a terminal of so many columns, each at most one less wide. What does not fit goes into a line more.
    /// - Parameter coloured: with escape codes for colours.
    package func lines(columns: Int, coloured: Bool) -> [String] {
        var rows: [[Field]] = []
        if metrics.step > 0 {
            let share = moment.steps > 0 ? 100 * Double(metrics.step) / Double(moment.steps) : 100
            let place = ["step \(position)", "\(fixed(share, 1)) %", timeLeft]
            // The bar takes what the numbers leave; a few cells would say nothing.
            let cells = min(30, columns / 4, columns - 1 - place.reduce(0) { $0 + $1.count + 2 })
            rows.append(
                (cells < 4 ? [] : [Field(text: bar(cells), colour: 32)]) + place.map { Field(text: $0) })
            let known = [
                loss, validation.map { "val loss \(fixed($0, 4))" },
                best.map { "best \(fixed($0.loss, 4)) at step \($0.step)" },
            ].compactMap { $0.map { Field(text: $0) } }
            // The curve takes what they leave of their last line.
            let used = Self.flow(known, columns - 1).last?.width ?? 0
            let sparkline = losses.sparkline(columns: min(LossHistory.capacity, columns - 3 - used))
            rows.append(known + (sparkline.isEmpty ? [] : [Field(text: sparkline, colour: 36)]))
            rows.append(
                [
                    "lr \(rateText(metrics.learningRate))", metrics.muonLearningRate.map { "muon lr \(rateText($0))" },
                    "grad norm \(fixed(metrics.measured.gradientNorm, 3))",
                ].compactMap { $0.map { Field(text: $0) } })
            rows.append(
                [
                    speed, metrics.ceilingShare.map { "\(fixed(100 * $0, 0)) % of the ceiling" },
                    checkpoint,
                ].compactMap { $0.map { Field(text: $0) } })
            if let slowest = moment.slowest {
                rows.append([
                    Field(text: "slowest rank \(slowest.rank) on \(printable(slowest.host, limit: 40))"),
                    Field(text: "\(fixed(100 * slowest.excess, 1)) % over the median"),
                ])
            }
        }
        if let work { rows.append(work.split(separator: "  ").map { Field(text: String($0), colour: 33) }) }
        return rows.flatMap { Self.flow($0, columns - 1) }.map { line in
            line.fields.map { field in
                coloured ? field.colour.map { "\u{1B}[\($0)m\(field.text)\u{1B}[0m" } ?? field.text : field.text
            }.joined(separator: "  ")
        }
    }

    /// The fields in lines of so many columns, two blanks between them. One that is wider than a line is cut.
    private static func flow(_ fields: [Field], _ width: Int) -> [(fields: [Field], width: Int)] {
        var lines: [(fields: [Field], width: Int)] = []
        for field in fields {
            let text = String(field.text.prefix(max(1, width)))
            let shown = Field(text: text, colour: field.colour)
            if let last = lines.last, last.width + 2 + text.count <= width {
                lines[lines.count - 1] = (last.fields + [shown], last.width + 2 + text.count)
            } else {
                lines.append(([shown], text.count))
            }
        }
        return lines
    }
}
