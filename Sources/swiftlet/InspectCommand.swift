import ArgumentParser
import Basics
import Checkpointing

/// `swiftlet inspect PATH`: what a file or directory of ours holds, and whether it verifies.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a run, checkpoint, model, shard or tokenizer holds, and whether it verifies.",
        discussion: "Exit code 0 when it verifies, 65 when it does not, 66 when it is not there.")

    @Argument(help: "A run directory, checkpoint directory, .safetensors file, .bin token shard or tokenizer.json.")
    var path: String

    @Flag(help: "List every tensor, not only their number.")
    var tensors = false

    func run() throws {
        do {
            try StandardStreams.print(Inspection(path: path, listsTensors: tensors).lines.joined(separator: "\n"))
        } catch let error as InspectionFailure {
            try StandardStreams.print(error.lines.joined(separator: "\n"))
            throw ArgumentParser.ExitCode(65)
        }
    }
}

/// What was found up to the first thing that does not verify; shown all the same.
struct InspectionFailure: Error {
    let lines: [String]
}
