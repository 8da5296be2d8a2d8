import ArgumentParser
import Basics
import Collectives
import Kernels
import TokenData
import Training
import Transformer

/// `swiftlet evaluate`
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Print loss and perplexity of a checkpoint on token shards, read in order in windows of the context.")

    @Option(help: "Checkpoint, run directory (its newest checkpoint) or Hugging Face model directory.")
    var checkpoint: String
    @Option(help: "Token shards: a path or a quoted pattern.")
    var data: String
    @Option(help: "Windows to read (all).")
    var windows: Int?
    @Option(help: "Windows that are computed at once.")
    var microBatch = 8
    @Option(help: "fp32 or bf16.")
    var precision = "fp32"

    func validate() throws {
        guard microBatch >= 1 else { throw ValidationError("--micro-batch is \(microBatch), expected 1 or more") }
        if let windows, windows < 1 { throw ValidationError("--windows is \(windows), expected 1 or more") }
        guard Precision(rawValue: precision) != nil else {
            throw ValidationError("--precision is '\(precision)', expected fp32 or bf16")
        }
    }

    func run() throws {
        try withCommunicator { communicator in
            let result = try ModelEvaluation.run(
                checkpoint: checkpoint, data: data, windows: windows, microBatch: microBatch,
                precision: Precision(rawValue: precision) ?? .fp32, communicator: communicator)
            if communicator.rank == 0 {
                print("loss \(fixed(result.loss, 6))  ppl \(fixed(result.perplexity, 6))  tokens \(result.tokens)")
            }
        }
    }
}
