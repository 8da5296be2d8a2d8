import ArgumentParser
import Basics
import Collectives
import Training

/// `swiftlet evaluate`
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Print loss and perplexity of a checkpoint on token shards.",
        usage: "swiftlet evaluate --checkpoint <path> --data <path> [<options>]",
        discussion: """
            With --sequences N, the N of a run's --eval-sequences, it prints the validation loss that the run logged for \
            that checkpoint.
            """)

    @OptionGroup var given: TableOptions<ModelEvaluation.Options, 0>

    func run() throws {
        let options = try given.settings()
        let reporter = ConsoleReporter()
        try withCommunicator { communicator in
            let report = try ModelEvaluation.run(options, communicator: communicator, warn: reporter.warning)
            if communicator.rank == 0 { try StandardStreams.print(options.json ? report.json : report.text) }
        }
    }
}
