import Basics

/// The lines of a run's `metrics.jsonl`, whole ones, to make up for events that are missing.
struct MetricsHistory {
    private let lines: [(step: Int, text: ArraySlice<UInt8>)]

    /// - Throws: `FileSystemError` (65 or 66) when the file is there and cannot be read.
    init(path: FilePath, fileSystem: any FileSystem) throws(FileSystemError) {
        let text = try InputFile.contents(ifPresent: path, limit: .max, fileSystem: fileSystem) ?? []
        lines = text.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
            .compactMap { line -> (step: Int, text: ArraySlice<UInt8>)? in
                StepLog.stepNumber(of: line).map { ($0, line) }
            }
    }

    /// The first step of the lines that is not among these, which grow.
    func firstStep(missingIn steps: [Int]) -> Int? {
        var place = 0
        return lines.first { line in
            while place < steps.count, steps[place] < line.step { place += 1 }
            return place == steps.count || steps[place] != line.step
        }?.step
    }

    /// The numbers from `step` on, each with the seconds that passed between its end and the last one's.
    func metrics(from step: Int) -> [(metrics: StepMetrics, age: Double)] {
        var age = 0.0
        let found = lines.reversed().prefix { $0.step >= step }
            .compactMap { line -> (metrics: StepMetrics, age: Double)? in
                guard let metrics = StepMetrics(json: line.text) else { return nil }
                let milliseconds = metrics.measured.milliseconds
                defer { age += milliseconds.isFinite ? milliseconds / 1000 : 0 }
                return (metrics, age)
            }
        return found.reversed()
    }
}

extension StepMetrics {
    /// Reads a line of `metrics.jsonl`; nil for what is none. A number that was not finite is NaN.
    package init?(json line: some Sequence<UInt8>) {
        guard let members = (try? JSON(Array(line)))?.members else { return nil }
        self.init()
        for (name, value) in members {
            let number = value.number ?? .nan
            switch String(decoding: name, as: UTF8.self) {
            case "step": step = value.int ?? 0
            case "epoch": epoch = value.int ?? 0
            case "lr": learningRate = number
            case "train_loss": measured.trainLoss = number
            case "grad_norm": measured.gradientNorm = number
            case "tokens": tokens = value.int ?? 0
            case "tokens_per_second": measured.tokensPerSecond = number
            case "step_ms": measured.milliseconds = number
            case "muon_lr": muonLearningRate = number
            case "sequence_length": sequenceLength = value.int
            case "ceiling_share": ceilingShare = number
            case "val_loss": validationLoss = number
            case "val_bpb": validationBitsPerByte = number
            default: break
            }
        }
        guard step > 0 else { return nil }
    }
}
