import ArgumentParser
import Basics

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
        do {
            let inspection = try Inspection(path: FilePath(argument: path), listsTensors: tensors)
            try StandardStreams.print(inspection.lines.joined(separator: "\n"))
        } catch let error as InspectionFailure {
            try StandardStreams.print(error.lines.joined(separator: "\n"))
            throw ArgumentParser.ExitCode(error.exitCode.rawValue)
        }
    }
}

/// What was found up to the first thing that does not verify; shown all the same.
struct InspectionFailure: Error {
    let lines: [String]
    var exitCode: Basics.ExitCode = .badInput
}
