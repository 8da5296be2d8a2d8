import Basics
import Checkpointing
import Kernels
import Transformer

/// `README.md` of an exported model directory: what the model is and where it comes from, for people and for the Hub.
struct ModelCard {
    let description: ModelDescription
    /// Nil for a model from elsewhere.
    let state: TrainerState?
    /// Of the checkpoint's step, where the run's metrics have it.
    let trainLoss: Double?
    let type: ExportedType
    let hasTokenizer: Bool

    private static let metricsLimit = 1 << 30

    /// The loss of a checkpoint's last step, from `metrics.jsonl` of its run; nil where that is not at hand.
    static func trainLoss(of checkpoint: Checkpoint) -> Double? {
        let path = checkpoint.path.appending("../../metrics.jsonl")
        guard let text = try? InputFile.contents(ifPresent: path, limit: metricsLimit) else { return nil }
        let state = checkpoint.state
        // The run may have gone on: from its newest line back.
        for line in text.split(separator: 0x0A).reversed() {
            guard let json = try? JSON(Array(line)), let step = json["step"]?.int, step >= state.step else {
                return nil
            }
            if step == state.step {
                return json["tokens"]?.int == state.tokensSeen ? json["train_loss"]?.number : nil
            }
        }
        return nil
    }

    /// The file.
    var text: String {
        let family = description.shape.architecture.rawValue
        let front = [
            "---", "library_name: transformers", "pipeline_tag: text-generation", "tags:", "- text-generation",
            "- \(family)",
            "- swiftlet", "---", "",
        ]
        let parts = [
            "# \(family) with \(description.shape.parameterCount) parameters",
            "",
            "A language model " + (state == nil ? "exported" : "trained and exported")
                + " by swiftlet \(swiftletVersion), weights in \(type.torchName).",
            "",
            table("Model", model),
        ]
        let training = state.map {
            [table("Training", facts(of: $0)), table("Losses", losses(of: $0)), configuration($0)]
        }
        let use = [
            "## Use", "", "```python", "from transformers import AutoModelForCausalLM, AutoTokenizer", "",
            "model = AutoModelForCausalLM.from_pretrained(\"PATH\")",
            hasTokenizer
                ? "tokenizer = AutoTokenizer.from_pretrained(\"PATH\")" : "# This model came without a tokenizer.",
            "```", "",
        ]
        return (front + parts + (training ?? []) + use).joined(separator: "\n")
    }

    private typealias Row = (name: String, value: String)

    private func table(_ title: String, _ rows: [Row]) -> String {
        let lines = rows.map { "| \($0.name) | \($0.value) |" }
        return (["## \(title)", "", "| | |", "|---|---|"] + lines + [""]).joined(separator: "\n")
    }

    private var model: [Row] {
        let shape = description.shape
        return [
            ("architecture", shape.architecture.rawValue), ("parameters", "\(shape.parameterCount)"),
            ("layers", "\(shape.layerCount)"),
            ("heads", "\(shape.headCount), key/value heads \(shape.keyValueHeadCount), head size \(shape.headSize)"),
            ("embedding size", "\(shape.embeddingSize)"), ("inner size", "\(shape.innerSize)"),
            ("context length", "\(shape.contextLength)"), ("vocabulary", "\(shape.vocabularySize)"),
            ("otherwise than GPT-2", shape.differences.isEmpty ? "nothing" : shape.differences.joined(separator: ", ")),
        ]
    }

    private func facts(of state: TrainerState) -> [Row] {
        let schedule = state.scheduler.schedule
        let adam = state.optimizer.hyperparameters
        let course: [Row] = [
            ("steps", "\(state.step) of \(schedule.totalSteps)"), ("tokens seen", "\(state.tokensSeen)"),
            ("epoch", "\(state.epoch + 1)"),
            ("batch", "\(state.globalBatch) sequences of \(state.contextLength)"),
            (
                "learning rate",
                "\(schedule.base), \(schedule.kindText)\(schedule.decayShape == .linear ? " in a straight line" : "") "
                    + "to \(schedule.minimum), warm-up \(schedule.warmupSteps)"
            ),
            (
                "AdamW",
                "betas \(adam.beta1) and \(adam.beta2), epsilon \(adam.epsilon), weight decay \(adam.weightDecay), "
                    + "gradient clip \(state.optimizer.gradientClip)"
            ),
        ]
        return course + muon(of: state) + [
            ("precision", printable(state.precision)), ("seed", "\(state.seed)"),
            ("data", state.dataIdentity.map { printable($0) }.joined(separator: ", ")),
            ("tokenizer", state.tokenizerHash.map { printable($0) } ?? "not known"),
            ("trained by", "swiftlet \(printable(state.swiftletVersion))"),
        ]
    }

    /// What its matrices were trained with, where it had Muon.
    private func muon(of state: TrainerState) -> [Row] {
        guard let rate = state.scheduler.schedule.muonBase else { return [] }
        func saved(_ name: String) -> String { state.configuration[name].map { printable($0) } ?? "not known" }
        return [
            (
                "Muon",
                "the blocks' matrices: learning rate \(rate) on the same curve, momentum \(saved("muon-momentum")), "
                    + "weight decay \(saved("muon-weight-decay")), \(Quintic.iterations) Newton–Schulz iterations in "
                    + saved("muon-precision")
            )
        ]
    }

    private func losses(of state: TrainerState) -> [Row] {
        let best = state.bestValidationLoss.map { loss in
            "\(loss)" + (state.bestValidationStep.map { " at step \($0)" } ?? "")
        }
        let rows: [(String, String?)] = [
            ("train, last step", trainLoss.map { "\($0)" }),
            ("validation, last", state.lastValidationLoss.map { "\($0)" }), ("validation, best", best),
        ]
        return rows.map { ($0, $1 ?? "not known") }
    }

    /// The command that the run was started with, as far as it defines the run: no paths.
    private func configuration(_ state: TrainerState) -> String {
        let schedule = state.scheduler.schedule
        var lines = ["swiftlet train"]
        for row in TrainingConfiguration.options {
            let planned = schedule.options.first { $0.name == row.name }?.value
            guard let value = state.configuration[row.name] ?? planned,
                !row.name.hasPrefix("decay-") || schedule.kind == .wsd
            else { continue }
            // A value that no run writes has no place in a command that somebody may paste.
            var configuration = TrainingConfiguration()
            guard row.read(&configuration, value) else { continue }
            let isFlag = row.form.placeholder == nil
            if !isFlag || value == "true" { lines.append("    --\(row.name)" + (isFlag ? "" : " \(value)")) }
        }
        return ["## Command", "", "```sh", lines.joined(separator: " \\\n"), "```", ""].joined(separator: "\n")
    }
}
