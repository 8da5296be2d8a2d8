import Foundation
import SwiftletTokenizer
import SwiftletTraining

/// Random windows of one text. A window is a function of its position alone, so a resume reads the same ones.
struct RandomWindows: TokenSource {
    let tokens: [Int32]
    let name: String, vocabularySize: Int, tokenizerPath: String?

    func fill(_ window: inout MutableSpan<Int32>, position: Int) throws {
        guard tokens.count > window.count else { throw SwiftletError("the text is shorter than a window") }
        var hash = UInt64(position) &* 0x9E37_79B9_7F4A_7C15  // splitmix64
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        let start = Int((hash ^ hash >> 31) % UInt64(tokens.count - window.count))
        for place in 0..<window.count { window[place] = tokens[start + place] }
    }
}

/// The schedule of "Attention Is All You Need": a straight line up, then 1/√step.
struct InverseRoot: RateSchedule {
    let peak: Double, warmup: Double
    var name: String { "inverse root, \(peak) at \(warmup)" }

    func rate(at step: Int) -> Double {
        let step = Double(step + 1)
        return peak * min(step / warmup, (warmup / step).squareRoot())
    }
}

func train(text path: String, into run: String, steps: Int, on ranks: Ranks) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let tokenizer = try Tokenizer(trainingOn: [text], vocabularySize: 300)
    if ranks.isFirst { try tokenizer.write(to: run + "-tokenizer") }
    try ranks.meet()
    let data = RandomWindows(
        tokens: tokenizer.encode(text), name: "windows of \(path)", vocabularySize: tokenizer.vocabularySize,
        tokenizerPath: run + "-tokenizer")
    var configuration = try Configuration(["run-dir": run, "precision": "fp32", "beta2": "0.98"])
    (configuration.layers, configuration.heads, configuration.embeddingSize) = (2, 2, 32)
    (configuration.contextLength, configuration.microBatch, configuration.globalBatch) = (32, 2, 8)
    (configuration.steps, configuration.threads) = (steps, 1)
    let schedule = InverseRoot(peak: 0.003, warmup: 10)
    let training = try TrainingRun(configuration, on: ranks, data: data, schedule: schedule)
    let outcome = try training.train { step in
        if ranks.isFirst { print("step \(step.step)  rate \(step.learningRate)  loss \(step.trainLoss)") }
    }
    guard ranks.isFirst, outcome == .finished else { return }
    print(try TrainedModel(path: run).text(after: "let", options: ["max-tokens": "20"]))
}

guard CommandLine.arguments.count == 4, let steps = Int(CommandLine.arguments[3]) else {
    print("usage: training-loop TEXT RUN STEPS")
    exit(64)
}
TrainingRun.stopOnSignals()
let ranks = try Ranks()
do {
    try train(text: CommandLine.arguments[1], into: CommandLine.arguments[2], steps: steps, on: ranks)
    try ranks.leave()
} catch {
    let error = error as? SwiftletError ?? SwiftletError("\(error)")
    if ranks.isFirst || !error.isShared { print("error: \(error)") }
    ranks.end(for: error)
}
