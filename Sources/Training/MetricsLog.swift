import Foundation

/// One optimizer step's numbers: a line of `metrics.jsonl`.
public struct StepMetrics: Equatable, Sendable {
    /// From 1.
    public var step: Int
    /// From 1.
    public var epoch: Int
    /// The rate after the step's advance, as in the log line.
    public var learningRate: Double
    /// Mean over all ranks' tokens of the step, nats.
    public var trainLoss: Double
    /// Global L2 norm before clipping.
    public var gradientNorm: Double
    /// Tokens trained on since the run began, this step's included.
    public var tokens: Int
    /// Over all ranks, this step alone.
    public var tokensPerSecond: Double
    /// Milliseconds of this step.
    public var stepMilliseconds: Double
    /// On steps that evaluated.
    public var validationLoss: Double?

    public init(
        step: Int, epoch: Int, learningRate: Double, trainLoss: Double, gradientNorm: Double, tokens: Int,
        tokensPerSecond: Double, stepMilliseconds: Double, validationLoss: Double?
    ) {
        self.step = step
        self.epoch = epoch
        self.learningRate = learningRate
        self.trainLoss = trainLoss
        self.gradientNorm = gradientNorm
        self.tokens = tokens
        self.tokensPerSecond = tokensPerSecond
        self.stepMilliseconds = stepMilliseconds
        self.validationLoss = validationLoss
    }

    /// The line, without its newline. Numbers keep all their digits; one that is not finite becomes null.
    public var json: String {
        var fields = [
            "\"step\":\(step)", "\"epoch\":\(epoch)", "\"lr\":\(number(learningRate))",
            "\"train_loss\":\(number(trainLoss))", "\"grad_norm\":\(number(gradientNorm))", "\"tokens\":\(tokens)",
            "\"tokens_per_second\":\(number(tokensPerSecond))", "\"step_ms\":\(number(stepMilliseconds))",
        ]
        if let validationLoss {
            fields.append("\"val_loss\":\(number(validationLoss))")
            fields.append("\"val_ppl\":\(number(exponential(validationLoss)))")
        }
        return "{" + fields.joined(separator: ",") + "}"
    }

    private func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }
}

/// e^x, for perplexities.
func exponential(_ x: Double) -> Double { exp(x) }

/// `metrics.jsonl`: one line a step, appended whole; the file always reads as one run.
package final class MetricsLog {
    private let path: String
    private var handle: FileHandle?
    /// Lines that could not be written.
    package private(set) var lostLines = 0

    /// Opens the file and drops the lines after `step`, which a resumed run will make again.
    /// - Throws: `TrainingError` (73) when it cannot be written.
    package init(path: String, keepingThrough step: Int) throws(TrainingError) {
        self.path = path
        do {
            try Self.drop(after: step, at: path)
            if !FileManager.default.fileExists(atPath: path) {
                try Data().write(to: URL(fileURLWithPath: path))
            }
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.seekToEnd()
            self.handle = handle
        } catch {
            throw TrainingError(73, "cannot write \(path): \(error.localizedDescription); check permissions and space")
        }
    }

    deinit { try? handle?.close() }

    /// Adds a line with one write. A full disk must not end the run: the line is counted as lost.
    package func append(_ metrics: StepMetrics) {
        do {
            try handle?.write(contentsOf: Data((metrics.json + "\n").utf8))
        } catch {
            lostLines += 1
        }
    }

    /// Makes what was written durable, with the checkpoint that it belongs to.
    func synchronize() { try? handle?.synchronize() }

    private static func drop(after step: Int, at path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let text = try Data(contentsOf: URL(fileURLWithPath: path))
        var kept = Data()
        // A torn last line has no newline and is dropped too.
        var start = text.startIndex
        while let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = text[start...end]
            if let number = stepNumber(of: line), number <= step { kept.append(line) }
            start = text.index(after: end)
        }
        guard kept.count != text.count else { return }
        try kept.write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    /// The step of a line that this program wrote.
    private static func stepNumber(of line: Data) -> Int? {
        let prefix = Data("{\"step\":".utf8)
        guard line.starts(with: prefix) else { return nil }
        let digits = line.dropFirst(prefix.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
