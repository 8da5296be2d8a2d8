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

    @OptionGroup var train: TrainOptions

    func run() throws {
        let options = try own.settings()
        let given = try train.given(requiringAll: false)
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
