import Basics
import Foundation

extension RunPlan {
    /// The plan for people.
    package var text: String {
        var lines: [String] = []
        func say(_ name: String, _ text: String) {
            lines.append(name.padding(toLength: 14, withPad: " ", startingAt: 0) + text)
        }
        say(
            "model",
            "\(model.architecture), \(model.parameters) parameters, \(model.parametersWithoutEmbeddings) without embeddings, "
                + "\(model.layers) layers, \(model.heads) heads, embedding \(model.embeddingSize), context "
                + "\(model.contextLength), vocabulary \(model.vocabularySize)")
        if let tokens = length.dataTokens, let sequences = length.dataSequences, let epochs = length.epochs {
            say("data", "\(tokens) tokens, \(sequences) sequences, read \(fixed(epochs, 2)) times")
        } else {
            say("data", "none given")
        }
        say(
            "run",
            "\(length.steps) steps of \(length.tokensPerStep) tokens, \(length.tokens) tokens, "
                + "\(fixed(length.tokensPerParameter, 2)) a parameter")
        if let from = checkpoints.goesOnFrom {
            say("goes on", "from \(from): \(max(0, length.steps - length.stepsDone)) of \(length.steps) steps are left")
        }
        let (ranks, threads) = (batch.ranks, batch.threadsPerRank)
        say(
            "batch",
            "\(batch.globalBatch) sequences = \(batch.accumulation) × \(batch.microBatch) × \(ranks) "
                + "\(ranks == 1 ? "rank" : "ranks"), \(threads) \(threads == 1 ? "thread" : "threads") each, "
                + batch.precision)
        say("memory", memoryLine)
        say("checkpoints", checkpointLine)
        if let evaluations {
            say(
                "evaluations",
                "\(evaluations.count) of \(evaluations.sequences) of \(evaluations.available) sequences, "
                    + "\(evaluations.tokens) tokens each, \(fixed(100 * evaluations.share, 1)) % of the time"
                    + (time == nil ? " by operations" : ""))
        }
        say("time", timeLine)
        let warmup = rates.warmupSteps == 0 ? "" : " after \(rates.warmupSteps) steps of warm-up"
        say("learning rate", "\(rates.schedule), \(rates.peak) at its peak\(warmup)")
        lines += Self.chart(rates.points, last: length.steps)
        if let points = rates.muonPoints, let peak = rates.muonPeak {
            say("muon's", "\(peak) at its peak")
            lines += Self.chart(points, last: length.steps)
        }
        lines += notes.map { "note: \($0)" } + warnings.map { "warning: \($0)" }
        return lines.joined(separator: "\n")
    }

    private var memoryLine: String {
        let kinds = memory.kinds.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.key) \(memoryText($0.value))" }
        return "\(memoryText(memory.peak)) a rank at its peak: \(kinds.joined(separator: ", ")), the program itself "
            + memoryText(memory.program)
            + (memory.available.map { "; there are \(memoryText($0))" } ?? "")
            + (memory.measuredPeak.map { "; measured \(memoryText($0))" } ?? "")
    }

    private var checkpointLine: String {
        "\(checkpoints.saves) of \(memoryText(checkpoints.bytes)), \(checkpoints.atOnce) at once: "
            + memoryText(checkpoints.diskBytes)
            + (checkpoints.freeBytes.map { "; \(memoryText($0)) are free" } ?? "")
    }

    private var timeLine: String {
        guard let time else { return "not measured: \(unmeasured ?? "")" }
        let evaluations = evaluations.map { ", \($0.count) evaluations of \(durationText(time.evaluation))" } ?? ""
        let left = length.stepsDone > 0 ? "\(durationText(time.left)) left of " : ""
        return "\(left)\(durationText(time.total)): \(length.steps) steps of \(durationText(time.step)) "
            + "(\(fixed(time.tokensPerSecond, 0)) tokens/s)\(evaluations), \(checkpoints.saves) checkpoints of "
            + "\(durationText(time.checkpoint)); \(time.measuredSteps) steps were measured"
    }

    /// A curve in the terminal, from 0 to its largest value, in eighths of a row.
    package static func chart(_ points: [Double], last: Int, rows: Int = 6) -> [String] {
        let most = points.max() ?? 0
        let blocks = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        let eighths = points.map { most > 0 ? Int(($0 / most * Double(rows * 8)).rounded()) : 0 }
        var lines = (0..<rows).reversed().map { row in
            let label = row == rows - 1 ? rateText(most) : row == 0 ? rateText(0) : ""
            let heights = eighths.map { min(8, max(0, $0 - 8 * row)) }
            // Nothing stands behind the last block of a row.
            let bars = heights.prefix((heights.lastIndex { $0 > 0 } ?? -1) + 1).map { blocks[$0] }.joined()
            return String(repeating: " ", count: max(0, 12 - label.count)) + label + " ┤" + bars
        }
        let end = "\(last)"
        lines.append(
            String(repeating: " ", count: 14) + "1"
                + String(repeating: " ", count: max(1, points.count - 1 - end.count)) + end + " steps")
        return lines
    }

    /// The plan for scripts.
    package var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
