import Basics
import TokenData

/// A token shard in llm.c's format: header, count against size, the range of its ids, and whose ids they are.
struct TokenShardSummary {
    let lines: [String]

    /// - Throws: as `TokenShard`: 65 naming both numbers when header and size disagree.
    init(path: FilePath) throws {
        let stream = try TokenStream(paths: [path])
        let shard = stream.shards[0]
        let ids = try stream.idRange()
        lines = [
            "token shard \(path.shown)  verifies",
            "  tokens \(shard.tokenCount)  bytes a token \(shard.tokenWidth)  size \(shard.byteCount)",
            ids.map { "  ids \($0.lowerBound) to \($0.upperBound)" } ?? "  no token",
            "  tokenizer " + (shard.tokenizer?.shown ?? "not said"),
        ]
    }
}

/// A byte-level BPE tokenizer in Hugging Face's `tokenizer.json`.
struct TokenizerSummary {
    let lines: [String]

    /// - Throws: as `Tokenizer`: 65 naming what is missing or not supported.
    init(path: FilePath) throws {
        let tokenizer = try Tokenizer(path: path)
        let added = tokenizer.addedTokens.map { "\(printable(String(decoding: $0.content, as: UTF8.self))) = \($0.id)" }
        lines = [
            "tokenizer \(path.shown)  BPE  \(try tokenizer.identity().shown)",
            "  vocabulary \(tokenizer.vocabularySize)  merges \(tokenizer.merges.count)",
            "  added \(added.isEmpty ? "none" : added.joined(separator: ", "))",
        ]
    }
}

/// A run's `metrics.jsonl`: which steps it has, and the newest losses.
struct MetricsSummary {
    let lines: [String]
    /// Whether every line is one that a run writes, one step after the other, the last with its end.
    let isWhole: Bool

    init(path: FilePath) throws {
        let text = try InputFile(path).contents(limit: .max)
        var steps: [Int] = []
        var (trainLoss, validationLoss): (Double?, Double?) = (nil, nil)
        var problem: String?
        for (index, line) in text.split(separator: 0x0A).enumerated() {
            guard let json = try? JSON(Array(line)), let step = json["step"]?.int, step > (steps.last ?? 0) else {
                problem = problem ?? "line \(index + 1) is no step's"
                continue
            }
            if step != (steps.last ?? step - 1) + 1 { problem = problem ?? "step \(step) follows \(steps.last ?? 0)" }
            steps.append(step)
            trainLoss = json["train_loss"]?.number
            validationLoss = json["val_loss"]?.number ?? validationLoss
        }
        if !text.isEmpty, text.last != 0x0A { problem = problem ?? "the last line is cut" }
        isWhole = problem == nil
        let range = steps.first.map { "steps \($0) to \(steps.last ?? $0)" } ?? "no step"
        lines = [
            "metrics \(path.shown)  \(problem.map { "DOES NOT VERIFY: \($0)" } ?? "verifies")",
            "  \(range)" + (trainLoss.map { "  train loss \($0)" } ?? "")
                + (validationLoss.map { "  val loss \($0)" } ?? ""),
        ]
    }
}
