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
            command then goes on with no jump of the learning rate. At a resume the checkpoint says what is not given. An \
            environment variable such as SWIFTLET_LEARNING_RATE gives an option too.
            """)

    @OptionGroup var options: TrainOptions

    @Flag(help: "Print the configuration of the run as YAML for --config, with where each value is from.")
    var printConfig = false

    func run() throws {
        // A run outlives the terminal that it was started in.
        signal(SIGHUP, SIG_IGN)
        let given = try options.given(requiringAll: !printConfig)
        if printConfig { return try print(given) }
        let configuration = given.settings
        try configuration.validate()

        var outcome = Trainer.Outcome.finished
        try withCommunicator(stepTimeout: configuration.stepTimeout) { communicator in
            let console =
                communicator.rank == 0
                ? ConsoleReporter(alwaysLive: configuration.progress, format: configuration.logFormat) : nil
            defer { console?.finish() }
            let reporter: any Reporter = console ?? SilentReporter()
            given.warnings.forEach(reporter.warning)
            if let remark = given.environmentRemark { reporter.line(remark) }
            let trainer = try Trainer(configuration, communicator: communicator, reporter: reporter)
            outcome = try trainer.run()
            console?.finish()
            if outcome == .stopped {
                let text = "stopped on request at step \(trainer.step); run again to go on"
                reporter.event(.stopped(step: trainer.step, text: text))
            }
        }
        if outcome == .stopped { Foundation.exit(Basics.ExitCode.stopped.rawValue) }
    }

    /// Says what a run would begin with. One rank speaks, and none waits for another.
    private func print(_ given: GivenOptions<TrainingConfiguration>) throws {
        guard Exit.launcherRank == 0 else { return }
        given.warnings.forEach(ConsoleReporter().warning)
        try StandardStreams.print(EffectiveConfiguration(given).yaml)
    }
}
