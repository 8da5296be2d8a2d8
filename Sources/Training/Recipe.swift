import Transformer

/// A set of options that were tuned together (`--recipe`): what they are, and why, is in docs/recipes.md.
///
/// A recipe is for a new run. It sets what neither a flag nor `--config` says; at a resume the checkpoint has the values, and
/// the same command goes on with them.
package enum Recipe: String, CaseIterable, Sendable {
    /// GPT-2 with AdamW, tuned: the one to compare with.
    case gpt2
    /// The fewest steps to a loss that was found.
    case modern

    /// The family of a new model; a given model has its own.
    package var architecture: Architecture {
        switch self {
        case .gpt2: .gpt2
        case .modern: .modern
        }
    }

    /// Options besides the architecture with their values, in the order of the command line, for a configuration whose context
    /// and steps are known. What does not go with something that was chosen is not among them.
    package func settings(for configuration: TrainingConfiguration) -> [(name: String, value: String)] {
        switch self {
        case .gpt2: gpt2(configuration)
        case .modern: modern(configuration)
        }
    }

    /// A line that says what it set.
    func remark(_ settings: [(name: String, value: String)]) -> String {
        let options = settings.map { "--\($0.name) \($0.value)" }.joined(separator: " ")
        return "recipe \(rawValue) sets \(options.isEmpty ? "nothing: all was given" : options)"
    }

    private func gpt2(_ configuration: TrainingConfiguration) -> [(name: String, value: String)] {
        [
            ("warmup-steps", "\(configuration.steps / 3)"), ("learning-rate", "0.004"), ("min-learning-rate", "0.0"),
            ("schedule", "cosine"), ("optimizer", "adamw"), ("weight-decay", "0.1"), ("beta1", "0.9"),
            ("beta2", "0.95"), ("grad-clip", "1.0"),
        ]
    }

    private func modern(_ configuration: TrainingConfiguration) -> [(name: String, value: String)] {
        let warmupSteps = configuration.isGiven("warmup-steps") ? configuration.warmupSteps : 0
        let schedule = configuration.isGiven("schedule") ? configuration.schedule : .wsd
        var settings = [
            ("warmup-steps", "0"), ("learning-rate", "0.01"), ("min-learning-rate", "0.0"), ("schedule", "wsd"),
        ]
        if schedule == .wsd, !configuration.isGiven("decay-steps") {
            let left = Double(max(0, configuration.steps - warmupSteps)) / Double(configuration.steps)
            settings.append(("decay-share", "\(min(0.6, left))"))
        }
        if schedule == .wsd { settings.append(("decay-shape", "linear")) }
        let context = configuration.contextLength
        if context % 4 == 0 {
            settings.append(("sequence-warmup", "\(context / 4):0.25,\(context / 2):0.5"))
        }
        settings += [
            ("optimizer", "muon"), ("weight-decay", "0.0"), ("beta1", "0.9"), ("beta2", "0.95"), ("grad-clip", "0.0"),
        ]
        if configuration.chosen("optimizer") ?? "muon" == "muon" {
            settings += [
                ("muon-learning-rate", "0.04"), ("muon-momentum", "0.85"), ("muon-weight-decay", "0.01"),
            ]
        }
        return settings
    }
}

extension TrainingConfiguration {
    /// Takes over what a recipe says of a new model's shape, before one is made.
    /// - Returns: what it set.
    mutating func followShape(of recipe: Recipe) -> [(name: String, value: String)] {
        initFrom == nil ? setUnlessGiven([("architecture", recipe.architecture.rawValue)]) : []
    }

    /// Takes over the rest of a recipe, once context and steps are known.
    /// - Returns: what it set.
    mutating func follow(_ recipe: Recipe) -> [(name: String, value: String)] {
        setUnlessGiven(recipe.settings(for: self))
    }

    /// Sets those of these options that nobody chose.
    private mutating func setUnlessGiven(_ settings: [(name: String, value: String)]) -> [(name: String, value: String)]
    {
        settings.filter { name, value in
            guard let row = Self.option(name), !isGiven(row) else { return false }
            let isSet = row.read(&self, value)
            precondition(isSet, "a recipe says --\(name) \(value)")
            return true
        }
    }

    fileprivate func isGiven(_ name: String) -> Bool { Self.option(name).map(isGiven) ?? false }

    /// The value of an option that somebody chose.
    fileprivate func chosen(_ name: String) -> String? {
        Self.option(name).flatMap { isGiven($0) ? $0.write(self) : nil }
    }
}
