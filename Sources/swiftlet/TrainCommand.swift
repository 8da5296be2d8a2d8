import ArgumentParser
import Collectives
import Foundation
import Training

/// `swiftlet train`
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a model; resumes by itself when the run directory holds a checkpoint.",
        discussion: """
            Runs on one rank as it is, on N ranks under mpirun -np N. SIGUSR1 saves and stops (exit code 75); the same \
            command then goes on with no jump of the learning rate.
            """)

    @Option(help: "YAML file with any of these options by name; flags win.")
    var config: String?

    @OptionGroup(title: "Options") var options: TrainOptions

    func run() throws {
        var configuration = TrainingConfiguration()
        if let config { try ConfigurationFile.apply(config, to: &configuration) }
        for (name, value) in options.given { try configuration.set(name, value) }
        try configuration.validate()

        let checked = configuration
        var outcome = Trainer.Outcome.finished
        try withCommunicator { communicator in
            StopRequest.listen()
            let reporter: any Reporter =
                communicator.rank == 0 ? ConsoleReporter(alwaysLive: checked.progress) : SilentReporter()
            let trainer = try Trainer(checked, communicator: communicator, reporter: reporter)
            outcome = try trainer.run()
            if outcome == .stopped { reporter.line("stopped on request at step \(trainer.step); run again to go on") }
        }
        if outcome == .stopped { Foundation.exit(75) }
    }
}
