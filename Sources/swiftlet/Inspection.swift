import Checkpointing
import Glibc

/// Finds out what a path is and describes it in lines.
struct Inspection {
    private(set) var lines: [String] = []
    private let listsTensors: Bool

    /// Throws `CheckpointError` when nothing can be said, `InspectionFailure` when something does not verify.
    init(path given: String, listsTensors: Bool) throws {
        self.listsTensors = listsTensors
        // A slash at the end would follow a link and hide the name.
        var path = given
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let files = LocalFileSystem()
        let kind: FileStatus.Kind
        do {
            kind = try files.status(path: path).kind
        } catch {
            throw CheckpointError(.missing, "there is nothing at \(given), or it cannot be read; check the path")
        }
        if kind == .directory {
            let names = try files.names(in: path)
            if names.contains("checkpoints") {
                try describeRun(CheckpointDirectory(path: path + "/checkpoints"), title: "run \(path)")
            } else if names.contains(Manifest.fileName) || path.split(separator: "/").last?.hasPrefix("step-") == true {
                try describeCheckpoint(path)
            } else if names.contains(where: { $0.hasPrefix("step-") }) {
                try describeRun(CheckpointDirectory(path: path), title: "checkpoints \(path)")
            } else if names.contains("config.json") {
                try describeModelDirectory(path)
            } else {
                throw CheckpointError(
                    .invalid, "\(path) is no run directory, checkpoint or model directory: it has none of their files")
            }
        } else if path.hasSuffix(".safetensors") {
            try describeSafetensors(path)
        } else if path.hasSuffix(".bin") {
            lines += try TokenShardSummary(path: path).lines
        } else if path.hasSuffix(".json") {
            lines += try TokenizerSummary(path: path).lines
        } else {
            throw CheckpointError(
                .invalid, "\(path) is no .safetensors, .bin or tokenizer.json file; rename or convert it")
        }
    }

    private mutating func describeRun(_ checkpoints: CheckpointDirectory, title: String) throws {
        lines.append(title)
        let (candidates, ignored) = try checkpoints.list()
        var bad = 0
        for candidate in candidates {
            do {
                let state = try Checkpoint(verifying: candidate.path).state
                lines.append(
                    "  \(candidate.name)  verifies  learning rate \(sixDecimals(state.scheduler.nextLearningRate))  "
                        + "tokens \(state.tokensSeen)" + (state.lastValidationLoss.map { "  val loss \($0)" } ?? ""))
            } catch {
                bad += 1
                lines.append("  \(candidate.name)  DOES NOT VERIFY: \(error.message)")
            }
        }
        if candidates.isEmpty { lines.append("  no checkpoint") }
        if ignored > 0 { lines.append("  \(ignored) other names ignored") }
        if bad > 0 { throw InspectionFailure(lines: lines) }
    }

    private mutating func describeCheckpoint(_ path: String) throws {
        do {
            describe(try Checkpoint(verifying: path))
        } catch {
            guard error.kind == .invalid else { throw error }
            // Say about every file whether it is the culprit.
            lines.append("checkpoint \(path)  DOES NOT VERIFY: \(error.message)")
            for (name, problem) in Checkpoint.examine(path) { lines.append("  \(name)  \(problem ?? "verifies")") }
            throw InspectionFailure(lines: lines)
        }
    }

    private mutating func describe(_ checkpoint: Checkpoint) {
        let state = checkpoint.state
        let schedule = state.scheduler.schedule
        lines.append("checkpoint \(checkpoint.path)  verifies")
        lines.append(
            "  step \(state.step) / \(schedule.totalSteps)  epoch \(state.epoch)  sequences \(state.position)  "
                + "tokens \(state.tokensSeen)")
        lines.append("  learning rate \(state.scheduler.nextLearningRate)")
        lines.append(
            "  schedule \(schedule.kind.rawValue)  base \(schedule.base)  minimum \(schedule.minimum)  "
                + "warm-up \(schedule.warmupSteps)  steps \(schedule.totalSteps)"
                + (schedule.kind == .wsd ? "  decay \(schedule.decaySteps)" : "")
                + (schedule.rewarm.map { "  rewarm \($0.steps) from step \($0.start)" } ?? ""))
        lines.append(
            "  batch \(state.globalBatch) sequences of \(state.contextLength)  micro-batch \(state.microBatch)  "
                + "precision \(state.precision)  reduction \(state.reduction)  threads \(state.threadsPerRank)"
                + (state.worldSize.map { "  ranks \($0)" } ?? ""))
        if let loss = state.lastValidationLoss {
            lines.append(
                "  val loss \(loss)" + (state.bestValidationLoss.map { "  best \($0)" } ?? ""))
        }
        for file in checkpoint.manifest.files {
            lines.append("  \(file.name)  \(file.size) bytes  sha256 \(file.sha256.prefix(16))…  verifies")
        }
        describe(checkpoint.model, indent: "  ")
        lines.append("  written by swiftlet \(state.swiftletVersion)")
    }

    private mutating func describeModelDirectory(_ path: String) throws {
        let files = try HuggingFaceModelFiles(path: path)
        let model = files.description
        lines.append("GPT-2 model \(path)")
        lines.append(
            "  layers \(model.layerCount)  heads \(model.headCount)  embedding \(model.embeddingSize)  "
                + "context \(model.contextLength)  vocabulary \(model.vocabularySize)  "
                + "parameters \(model.parameterCount)")
    }

    private mutating func describeSafetensors(_ path: String) throws {
        let file = try SafetensorsFile(path: path)
        lines.append("safetensors \(path)  \(file.fileSize) bytes")
        for (name, text) in file.header.metadata.sorted(by: { $0.key < $1.key }) {
            lines.append("  metadata \(printable(name)): \(printable(text))")
        }
        describe(file, indent: "  ")
    }

    private mutating func describe(_ file: SafetensorsFile, indent: String) {
        var counts: [TensorDataType: Int] = [:]
        for tensor in file.tensors { counts[tensor.dataType, default: 0] += 1 }
        let types = TensorDataType.allCases.compactMap { type in counts[type].map { "\($0) \(type.rawValue)" } }
        lines.append(
            indent + "tensors \(file.tensors.count) (\(types.joined(separator: ", ")))  "
                + "parameters \(file.tensors.reduce(0) { $0 + $1.elementCount })")
        guard listsTensors else { return }
        for tensor in file.tensors {
            lines.append(indent + "  \(printable(tensor.name))  \(tensor.dataType.rawValue)  \(tensor.shape)")
        }
    }
}

/// A number as the log prints learning rates.
func sixDecimals(_ value: Double) -> String {
    let millionths = Int((value * 1e6).rounded())
    let digits = "\(millionths % 1_000_000)"
    return "\(millionths / 1_000_000)." + String(repeating: "0", count: 6 - digits.count) + digits
}

/// Text from a file, safe for a terminal and for a line.
func printable(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(200).map {
        $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "?" : "\($0)"
    }
    return shown.joined() + (text.unicodeScalars.count > 200 ? "…" : "")
}
