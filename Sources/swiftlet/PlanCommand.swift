import ArgumentParser
import Basics
import Collectives
import Training

/// `swiftlet plan`
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what a run would take and what looks wrong about it, before it is made.",
        usage: "swiftlet plan [--train-data <path>] [--run-dir <path>] [--vocab-size <n>] [<options of train>]",
        discussion: """
            Takes the options of train, makes a few real steps and prints memory, time, disk and learning rate. Without \
            --train-data it needs --vocab-size or --init-from. It measures the ranks that it was started with, as train; \
            nothing is made or changed on the disk.
            """)

    @OptionGroup var own: TableOptions<RunPlan.Options, 0>

    @Option(
        parsing: .unconditionalSingleValue,
        help: "YAML file with any of the options of train, by name or in sections; environment and flags win.",
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
        let options = try own.settings()
        var given = GivenOptions<TrainingConfiguration>()
        guard config.count <= 1 else { throw ExitError(.usage, "--config is given more than once; give one file") }
        if let file = config.first { try ConfigurationFile.apply(file, to: &given) }
        try given.take(environment: TrainCommand.environment())
        try given.take(
            flags: places.given + model.given + batch.given + optimizer.given + ranks.given + rhythm.given
                + resume.given
                + display.given, requiringAll: false)
        let configuration = given.settings
        try configuration.validateChoices()
        try withCommunicator(stepTimeout: configuration.stepTimeout) { communicator in
            var plan = try RunPlan.make(configuration, options, communicator: communicator)
            plan.warnings = given.warnings + plan.warnings
            plan.notes = [given.environmentRemark].compactMap(\.self) + plan.notes
            if communicator.rank == 0 { try StandardStreams.print(options.json ? plan.json : plan.text) }
        }
    }
}
