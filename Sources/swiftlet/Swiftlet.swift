import ArgumentParser
import Basics
import Kernels
import MPICollectives
import Training

/// Trains GPT-style language models on CPUs, on one process or many.
@main
struct Swiftlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftlet",
        abstract: "Trains GPT-style language models on CPUs, on one process or many.",
        discussion: "Start N ranks with: mpirun -np N swiftlet train …, or with launch/local.",
        version: BuildInformation.text,
        subcommands: [
            TokenizeCommand.self, TrainCommand.self, EvaluateCommand.self, GenerateCommand.self, InspectCommand.self,
            BenchCommand.self, ExportCommand.self, PlanCommand.self, ReportCommand.self, PlotCommand.self,
            ManualCommand.self,
        ])

    /// Parses and runs. Every error leaves through `Exit`, so that it is printed once and has the right code.
    static func main() {
        StopRequest.listen(isFirst: Exit.launcherRank == 0)
        StandardStreams.prepare()
        do {
            // Before anything else: a vector instruction that this CPU lacks would end the process with a signal.
            try requireProcessor()
            if Exit.launcherRank == 0 { ProgressLine.show() }
            var command = try parseAsRoot(CommandLineText.arguments())
            try MemoryPlan.requireRoomForProgram()
            try command.run()
        } catch {
            Exit.beforeMPI(error)
        }
    }

    private static func requireProcessor() throws(ExitError) {
        guard let missing = missingProcessorFeatures(of: compiledProcessorFeatures()) else { return }
        throw ExitError(
            .internalError,
            "this executable was compiled for a CPU with \(missing), and this one has none of it; compile it here with "
                + "`make build`, or for every machine that runs it with `SWIFTLET_CPU=x86-64-v3 make build`")
    }
}
