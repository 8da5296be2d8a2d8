import ArgumentParser
import Basics
import MPICollectives
import Training

/// Trains GPT-style language models on CPUs, on one process or many.
@main
struct Swiftlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftlet",
        abstract: "Trains GPT-style language models on CPUs, on one process or many.",
        discussion: "Start N ranks with: mpirun -np N swiftlet train …, or with launch/local.",
        version: SwiftletVersion.current,
        subcommands: [
            TokenizeCommand.self, TrainCommand.self, EvaluateCommand.self, GenerateCommand.self, InspectCommand.self,
            BenchCommand.self,
        ])

    /// Parses and runs. Every error leaves through `Exit`, so that it is printed once and has the right code.
    static func main() {
        StopRequest.listen(isFirst: Exit.launcherRank == 0)
        StandardStreams.prepare()
        do {
            var command = try parseAsRoot(CommandLineText.arguments())
            try command.run()
        } catch {
            Exit.beforeMPI(error)
        }
    }
}
