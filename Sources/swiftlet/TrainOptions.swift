import ArgumentParser
import Basics
import Foundation
import Training

/// The options of a run, from a file, the environment and flags: those of `train`, which `plan` takes as well.
struct TrainOptions: ParsableArguments {
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

    /// What was given, the later of file, environment and flags before the earlier.
    /// - Parameter requiringAll: whether options that a run cannot do without may not be missing.
    /// - Throws: as `ConfigurationFile.apply` and `GivenOptions`.
    func given(requiringAll: Bool) throws -> GivenOptions<TrainingConfiguration> {
        var given = GivenOptions<TrainingConfiguration>()
        guard config.count <= 1 else { throw ExitError(.usage, "--config is given more than once; give one file") }
        if let file = config.first { try ConfigurationFile.apply(file, to: &given) }
        try given.take(environment: Self.environment)
        let flags =
            places.given + model.given + batch.given + optimizer.given + ranks.given + rhythm.given + resume.given
            + display.given
        try given.take(flags: flags, requiringAll: requiringAll)
        return given
    }

    /// This process's environment, with values as they were given.
    private static var environment: [String: String] {
        var variables = ProcessInfo.processInfo.environment
        for name in variables.keys { variables[name] = CommandLineText.variable(name) }
        return variables
    }
}
