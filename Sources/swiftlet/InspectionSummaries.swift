import Basics
import Checkpointing

/// A token shard in llm.c's format: header, count against size, and the range of its ids.
struct TokenShardSummary {
    let lines: [String]

    /// Throws `CheckpointError`, `.invalid` naming both numbers when header and size disagree.
    init(path: FilePath) throws {
        let file = try InputFile(path)
        func fail(_ what: String) -> CheckpointError {
            CheckpointError(.invalid, "\(path.shown) is no token shard: \(what)")
        }
        guard file.size >= 1024 else { throw fail("\(file.size) bytes, expected a header of 1024") }
        let header = try file.bytes(12, at: 0)
        func word(_ index: Int) -> Int {
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(header[4 * index + $1]) << (8 * $1) }
            return Int(Int32(bitPattern: bits))
        }
        let (magic, version, count) = (word(0), word(1), word(2))
        let width: Int
        switch (magic, version) {
        case (20_240_520, 1): width = 2
        case (20_240_801, 7): width = 4
        default:
            throw fail("magic \(magic) version \(version), expected 20240520 version 1 or 20240801 version 7")
        }
        guard count >= 0, file.size == 1024 + width * count else {
            throw fail(
                "its header says \(count) tokens, \(1024 + width * max(0, count)) bytes, but it has \(file.size)")
        }
        var (smallest, largest) = (UInt32.max, UInt32.min)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 1024
        while offset < file.size {
            let size = min(buffer.count, file.size - offset)
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            try file.read(into: &bytes, part: 0..<size, at: offset)
            for place in stride(from: 0, to: size, by: width) {
                var id = UInt32(buffer[place]) | UInt32(buffer[place + 1]) << 8
                if width == 4 { id |= UInt32(buffer[place + 2]) << 16 | UInt32(buffer[place + 3]) << 24 }
                smallest = min(smallest, id)
                largest = max(largest, id)
            }
            offset += size
        }
        lines = [
            "token shard \(path.shown)  verifies", "  tokens \(count)  bytes a token \(width)  size \(file.size)",
            "  magic \(magic)  version \(version)",
            count == 0 ? "  no token" : "  ids \(smallest) to \(largest)",
        ]
    }
}

/// A byte-level BPE tokenizer in Hugging Face's `tokenizer.json`.
struct TokenizerSummary {
    let lines: [String]

    /// Throws `CheckpointError`, `.invalid` naming what is missing.
    init(_ json: JSON, path: FilePath) throws {
        func fail(_ what: String) -> CheckpointError {
            CheckpointError(.invalid, "\(path.shown) is no tokenizer: \(what)")
        }
        guard let model = json["model"], model.kind == .object else { throw fail("it has no model") }
        guard let vocabulary = model["vocab"]?.members else { throw fail("its model has no vocab") }
        guard let merges = model["merges"]?.elements else { throw fail("its model has no merges") }
        var ids: Set<Int> = []
        for (token, id) in vocabulary {
            guard let id = id.int, id >= 0, ids.insert(id).inserted else {
                throw fail("token \(printable(String(decoding: token, as: UTF8.self))) has no id of its own")
            }
        }
        let special = (json["added_tokens"]?.elements ?? []).compactMap { token -> String? in
            guard token["special"]?.bool == true, let text = token["content"]?.string, let id = token["id"]?.int
            else { return nil }
            ids.insert(id)
            return "\(printable(text)) = \(id)"
        }
        lines = [
            "tokenizer \(path.shown)  \(model["type"]?.string.map { printable($0) } ?? "BPE")",
            "  vocabulary \(ids.count)  merges \(merges.count)",
            "  special \(special.isEmpty ? "none" : special.joined(separator: ", "))",
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
