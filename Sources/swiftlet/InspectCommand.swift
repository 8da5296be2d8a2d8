import ArgumentParser
import Basics
import Checkpointing
import TokenData
import Transformer

/// `swiftlet inspect PATH`: what a file or directory of ours holds, and whether it verifies.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a run, checkpoint, model, shard or tokenizer holds, and whether it verifies.",
        discussion: "Exit code 0 when it verifies, 65 when it does not, 66 when it is not there or cannot be read.")

    @Argument(help: "A run, checkpoint or model directory, or one of the files in them; a .bin token shard.")
    var path: String

    @Flag(help: "List every tensor, not only their number.")
    var tensors = false

    func run() throws {
        let inspection = try Inspection(path: FilePath(argument: path), listsTensors: tensors)
        try StandardStreams.print(inspection.lines.joined(separator: "\n"))
        if let failure = inspection.failure { throw ArgumentParser.ExitCode(failure.rawValue) }
    }
}

/// Finds out what a path is and describes it in lines.
struct Inspection {
    private(set) var lines: [String] = []
    /// Where something does not verify: what the process ends with.
    private(set) var failure: Basics.ExitCode?
    private let listsTensors: Bool

    /// Throws `ExitError` when nothing can be said.
    init(path: FilePath, listsTensors: Bool) throws {
        self.listsTensors = listsTensors
        if try LocalFileSystem().status(path, followLinks: true).kind == .directory {
            switch try ModelPlace(path) {
            case .run(let checkpoints): try describeRun(checkpoints, at: path)
            case .checkpoint(let path): try describeCheckpoint(path)
            case .model(let path): describeModel(try HuggingFaceModelFiles(path: path).description, at: path)
            }
            return
        }
        switch path.extension {
        case "safetensors": try describeSafetensors(path)
        case "bin": try describeShard(path)
        case "json": try describeJSON(path)
        case "jsonl" where path.lastComponent?.string == "samples.jsonl": try describeSamples(path)
        case "jsonl": try describeMetrics(path)
        default:
            throw ExitError(
                .badInput, "\(path.shown) is no .safetensors, .bin, .json or .jsonl file; rename or convert it")
        }
    }

    private mutating func describeRun(_ checkpoints: CheckpointDirectory, at path: FilePath) throws {
        lines.append("run \(path.shown)")
        let (candidates, ignored) = try checkpoints.list()
        var newest: TrainerState?
        for candidate in candidates {
            do {
                // One that is gone was removed by the run itself, which goes on.
                guard let state = try checkpoints.verified(candidate)?.state else { continue }
                newest = newest ?? state
                // The best loss of the run has a checkpoint here where that one and the newest say so.
                let isBest = [newest, state].allSatisfy { $0?.bestValidationStep == candidate.step }
                lines.append(
                    "  \(candidate.name)  verifies  learning rate \(fixed(state.scheduler.nextLearningRate, 6))  "
                        + "tokens \(state.tokensSeen)" + (state.lastValidationLoss.map { "  val loss \($0)" } ?? "")
                        + (isBest ? "  best" : ""))
            } catch {
                if failure != .badInput { failure = exitCode(of: error) }
                let verdict = exitCode(of: error) == .badInput ? "DOES NOT VERIFY" : "CANNOT BE READ"
                lines.append("  \(candidate.name)  \(verdict): \(error)")
            }
        }
        if candidates.isEmpty { lines.append("  no checkpoint") }
        if ignored > 0 { lines.append("  \(ignored) other names ignored") }
    }

    private mutating func describeCheckpoint(_ path: FilePath) throws {
        do {
            describe(try Checkpoint(verifying: path))
        } catch {
            guard exitCode(of: error) == .badInput else { throw error }
            // Say about every file whether it is the culprit.
            lines.append("checkpoint \(path.shown)  DOES NOT VERIFY: \(error)")
            for (name, problem) in Checkpoint.examine(path) { lines.append("  \(name)  \(problem ?? "verifies")") }
            failure = .badInput
        }
    }

    private mutating func describe(_ checkpoint: Checkpoint) {
        lines.append("checkpoint \(checkpoint.path.shown)  verifies")
        describe(checkpoint.state)
        for file in checkpoint.manifest.files {
            lines.append("  \(file.name)  \(file.size) bytes  sha256 \(file.sha256.prefix(16))…  verifies")
        }
        if let shape = try? HuggingFaceModelFiles(checkpoint).description.shape { describe(shape) }
        describe(checkpoint.model)
        if let own = try? Tokenizer.inFolder(checkpoint.path)?.tokenizer.identity() {
            lines.append("  tokenizer \(own.shown)")
        }
        lines.append("  written by swiftlet \(printable(checkpoint.state.swiftletVersion))")
    }

    private mutating func describe(_ state: TrainerState) {
        let schedule = state.scheduler.schedule
        // The file counts epochs from 0; people do from 1, as in the log.
        lines.append(
            "  step \(state.step) / \(schedule.totalSteps)  epoch \(state.epoch + 1)  sequences \(state.position)  "
                + "tokens \(state.tokensSeen)")
        lines.append("  learning rate \(state.scheduler.nextLearningRate)")
        lines.append(
            "  schedule \(schedule.kindText)  base \(schedule.base)  minimum \(schedule.minimum)  "
                + "warm-up \(schedule.warmupSteps)  steps \(schedule.totalSteps)"
                + (schedule.kind == .wsd ? "  decay \(schedule.decaySteps)" : "")
                + (schedule.decayShape == .linear ? " in a straight line" : "")
                + (schedule.rewarm.map { "  rewarm \($0.steps) from step \($0.start)" } ?? ""))
        lines.append(
            "  batch \(state.globalBatch) sequences of \(state.contextLength)  micro-batch \(state.microBatch)  "
                + "precision \(printable(state.precision))  reduction \(printable(state.reduction))  "
                + "threads \(state.threadsPerRank)" + (state.worldSize.map { "  ranks \($0)" } ?? ""))
        if let loss = state.lastValidationLoss {
            lines.append(
                "  val loss \(loss)" + (state.bestValidationLoss.map { "  best \($0)" } ?? "")
                    + (state.bestValidationStep.map { " at step \($0)" } ?? ""))
        }
    }

    private mutating func describeModel(_ model: ModelDescription, at path: FilePath) {
        lines.append("model \(path.shown)")
        describe(model.shape)
    }

    private mutating func describe(_ shape: DecoderConfiguration) {
        lines.append(
            "  \(shape.architecture.rawValue)  layers \(shape.layerCount)  heads \(shape.headCount)  embedding \(shape.embeddingSize)  "
                + "context \(shape.contextLength)  vocabulary \(shape.vocabularySize)  "
                + "parameters \(shape.parameterCount)" + shape.differences.map { "  \($0)" }.joined())
    }

    private mutating func describeSafetensors(_ path: FilePath) throws {
        let file = try SafetensorsFile(path: path)
        lines.append("safetensors \(path.shown)  \(file.fileSize) bytes")
        for (name, text) in file.header.metadata.sorted(by: { $0.key < $1.key }) {
            lines.append("  metadata \(printable(name)): \(printable(text))")
        }
        describe(file)
    }

    private mutating func describe(_ file: SafetensorsFile) {
        var counts: [TensorDataType: Int] = [:]
        for tensor in file.tensors { counts[tensor.dataType, default: 0] += 1 }
        let types = TensorDataType.allCases.compactMap { type in counts[type].map { "\($0) \(type.rawValue)" } }
        lines.append(
            "  tensors \(file.tensors.count) (\(types.joined(separator: ", ")))  "
                + "parameters \(file.tensors.reduce(0) { $0 + $1.elementCount })")
        guard listsTensors else { return }
        for tensor in file.tensors {
            lines.append("    \(printable(tensor.name))  \(tensor.dataType.rawValue)  \(tensor.shape)")
        }
    }

    /// One of the JSON files of a run, checkpoint or model, told apart by what it holds.
    private mutating func describeJSON(_ path: FilePath) throws {
        let bytes = try InputFile(path).contents(limit: 64 << 20)
        let json: JSON
        do {
            json = try JSON(bytes)
        } catch {
            throw ExitError(.badInput, "\(path.shown): \(error)")
        }
        if json["scheduler"] != nil {
            let state = try TrainerState(json: bytes, file: path.shown)
            lines.append("trainer state \(path.shown)  verifies")
            describe(state)
        } else if json["files"] != nil {
            try describeCheckpoint(path.parent)
        } else if json["model_type"] != nil {
            describeModel(try ModelDescription(configurationJSON: bytes, file: path.shown), at: path)
        } else if json["model"] != nil {
            try describeTokenizer(path)
        } else if let settings = json.members, !settings.isEmpty {
            // The options of a run, or what Hugging Face keeps beside a model.
            lines.append("settings \(path.shown)")
            for (name, value) in settings {
                lines.append(
                    "  \(printable(String(decoding: name, as: UTF8.self)))  \(printable(value.string ?? value.source))")
            }
        } else {
            throw ExitError(.badInput, "\(path.shown) is no tokenizer, trainer state, manifest or configuration")
        }
    }

    /// A token shard in llm.c's format: header, count against size, the range of its ids, and whose ids they are.
    private mutating func describeShard(_ path: FilePath) throws {
        let stream = try TokenStream(paths: [path])
        let shard = stream.shards[0]
        let range = try WorkProgress.during("reading ids", of: shard.byteCount, .bytesRead) { try stream.idRange() }
        let ids = range.map { "ids \($0.lowerBound) to \($0.upperBound)" } ?? "no token"
        lines += [
            "token shard \(path.shown)  verifies",
            "  tokens \(shard.tokenCount)  bytes a token \(shard.tokenWidth)  size \(shard.byteCount)",
            "  \(ids)", "  tokenizer \(shard.tokenizer?.shown ?? "not said")",
        ]
    }

    /// A byte-level BPE tokenizer in Hugging Face's `tokenizer.json`.
    private mutating func describeTokenizer(_ path: FilePath) throws {
        let tokenizer = try Tokenizer(path: path)
        let added = tokenizer.addedTokens.map { "\(printable(String(decoding: $0.content, as: UTF8.self))) = \($0.id)" }
        lines += [
            "tokenizer \(path.shown)  BPE  \(try tokenizer.identity().shown)",
            "  vocabulary \(tokenizer.vocabularySize)  merges \(tokenizer.merges.count)",
            "  added \(added.isEmpty ? "none" : added.joined(separator: ", "))",
        ]
    }

    /// A run's `metrics.jsonl`: which steps it has, and the newest losses. It verifies when every line is one that a run
    /// writes, one step after the other, the last with its end.
    private mutating func describeMetrics(_ path: FilePath) throws {
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
        let range = steps.first.map { "steps \($0) to \(steps.last ?? $0)" } ?? "no step"
        lines += [
            "metrics \(path.shown)  \(problem.map { "DOES NOT VERIFY: \($0)" } ?? "verifies")",
            "  \(range)" + (trainLoss.map { "  train loss \($0)" } ?? "")
                + (validationLoss.map { "  val loss \($0)" } ?? ""),
        ]
        if problem != nil { failure = .badInput }
    }

    /// A run's `samples.jsonl`: how many texts, of which steps. It verifies when every line is one that a run writes, one
    /// step after the other, the last with its end.
    private mutating func describeSamples(_ path: FilePath) throws {
        let text = try InputFile(path).contents(limit: .max)
        var steps: [Int] = []
        var problem: String?
        for (index, line) in text.split(separator: 0x0A).enumerated() {
            guard let json = try? JSON(Array(line)), let step = json["step"]?.int, step > (steps.last ?? 0),
                json["prompt"]?.string != nil, json["text"]?.string != nil
            else {
                problem = problem ?? "line \(index + 1) is no sample"
                continue
            }
            steps.append(step)
        }
        if text.last ?? 0x0A != 0x0A { problem = problem ?? "the last line is cut" }
        lines += [
            "samples \(path.shown)  \(problem.map { "DOES NOT VERIFY: \($0)" } ?? "verifies")",
            "  samples \(steps.count)" + (steps.first.map { "  steps \($0) to \(steps.last ?? $0)" } ?? ""),
        ]
        if problem != nil { failure = .badInput }
    }
}
