import ArgumentParser
import Basics
import Collectives
import Foundation
import Training

/// `swiftlet train`
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a model; resumes by itself when the run directory holds a checkpoint.",
        usage: "swiftlet train --train-data <path> --run-dir <path> [--val-data <path>] [<options>]",
        discussion: """
            Runs on one rank as it is, on N ranks under mpirun -np N. SIGUSR1 saves and stops (exit code 75); the same \
            command then goes on with no jump of the learning rate. At a resume the checkpoint says what is not given.
            """)

    @Option(
        parsing: .unconditionalSingleValue, help: "YAML file with any of these options by name; flags win.",
        completion: .file())
    var config: [String] = []

    @OptionGroup(title: TrainingConfiguration.sections[0]) var places: TableOptions<TrainingConfiguration, 0>
    @OptionGroup(title: TrainingConfiguration.sections[1]) var model: TableOptions<TrainingConfiguration, 1>
    @OptionGroup(title: TrainingConfiguration.sections[2]) var batch: TableOptions<TrainingConfiguration, 2>
    @OptionGroup(title: TrainingConfiguration.sections[3]) var optimizer: TableOptions<TrainingConfiguration, 3>
    @OptionGroup(title: TrainingConfiguration.sections[4]) var ranks: TableOptions<TrainingConfiguration, 4>
    @OptionGroup(title: TrainingConfiguration.sections[5]) var rhythm: TableOptions<TrainingConfiguration, 5>
    @OptionGroup(title: TrainingConfiguration.sections[6]) var resume: TableOptions<TrainingConfiguration, 6>
    @OptionGroup(title: TrainingConfiguration.sections[7]) var display: TableOptions<TrainingConfiguration, 7>

    func run() throws {
        // A run outlives the terminal that it was started in.
        signal(SIGHUP, SIG_IGN)
        var configuration = TrainingConfiguration()
        guard config.count <= 1 else { throw ExitError(.usage, "--config is given more than once; give one file") }
        if let file = config.first { try ConfigurationFile.apply(file, to: &configuration) }
        try configuration.apply(
            places.given + model.given + batch.given + optimizer.given + ranks.given + rhythm.given + resume.given
                + display.given)
        try configuration.validate()

        var outcome = Trainer.Outcome.finished
        try withCommunicator(stepTimeout: configuration.stepTimeout) { communicator in
            let reporter: any Reporter =
                communicator.rank == 0 ? ConsoleReporter(alwaysLive: configuration.progress) : SilentReporter()
            let trainer = try Trainer(configuration, communicator: communicator, reporter: reporter)
            outcome = try trainer.run()
            if outcome == .stopped { reporter.line("stopped on request at step \(trainer.step); run again to go on") }
        }
        if outcome == .stopped { Foundation.exit(Basics.ExitCode.stopped.rawValue) }
    }
}
