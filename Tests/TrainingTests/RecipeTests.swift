import Basics
import Checkpointing
import TestSupport
import Testing
import Training
import Transformer

/// What `--recipe` sets, and what it leaves as it was given.
@Suite struct RecipeTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A run of twelve steps of which nothing is given that a recipe says.
    private func configuration(
        _ run: String, _ options: [(name: String, value: String)] = []
    ) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        for (name, value) in [
            ("train-data", Curve.tokens), ("run-dir", directory.file(run)), ("layers", "2"), ("heads", "2"),
            ("embedding-size", "32"), ("context-length", "16"), ("vocab-size", "64"), ("micro-batch", "1"),
            ("global-batch", "4"), ("steps", "12"), ("precision", "fp32"), ("threads", "1"),
        ] where !options.contains(where: { $0.name == name }) {
            try configuration.set(name, value)
        }
        for (name, value) in options { try configuration.set(name, value) }
        return configuration
    }

    private func settings(
        _ recipe: Recipe, _ options: [(name: String, value: String)] = []
    ) throws -> [String: String] {
        Dictionary(uniqueKeysWithValues: try recipe.settings(for: configuration("none", options)).map { ($0, $1) })
    }

    /// Every name is an option and every value one of its values.
    @Test(arguments: Recipe.allCases) func everyOptionIsKnown(recipe: Recipe) throws {
        var configuration = try configuration("none")
        let all = [("architecture", recipe.architecture.rawValue)] + recipe.settings(for: configuration)
        #expect(Set(all.map(\.0)).count == all.count)
        for (name, value) in all {
            let row = try #require(TrainingConfiguration.option(name), "--\(name)")
            #expect(row.read(&configuration, value), "--\(name) \(value)")
            // As a resume compares it.
            #expect(row.write(configuration) == value, "--\(name) \(value)")
        }
        try configuration.validateTogether()
    }

    @Test func whatModernIs() throws {
        let expected = [
            "optimizer": "muon", "learning-rate": "0.01", "muon-learning-rate": "0.04", "muon-momentum": "0.85",
            "muon-weight-decay": "0.01", "weight-decay": "0.0", "beta1": "0.9", "beta2": "0.95", "grad-clip": "0.0",
            "warmup-steps": "0", "schedule": "wsd", "decay-share": "0.6", "decay-shape": "linear",
            "min-learning-rate": "0.0",
            "sequence-warmup": "4:0.25,8:0.5",
        ]
        #expect(Recipe.modern.architecture == .modern)
        #expect(try settings(.modern) == expected)
    }

    @Test func whatGPT2Is() throws {
        let expected = [
            "optimizer": "adamw", "learning-rate": "0.004", "weight-decay": "0.1", "beta1": "0.9", "beta2": "0.95",
            "grad-clip": "1.0", "warmup-steps": "4", "schedule": "cosine", "min-learning-rate": "0.0",
        ]
        #expect(Recipe.gpt2.architecture == .gpt2)
        #expect(try settings(.gpt2) == expected)
        #expect(try settings(.gpt2, [("steps", "2")])["warmup-steps"] == "0")
    }

    /// What does not go with something that was given is left out, or made to fit.
    @Test(
        arguments: [
            ("context-length", "18", "sequence-warmup", nil),
            ("context-length", "4", "sequence-warmup", "1:0.25,2:0.5"),
            ("schedule", "linear", "decay-share", nil), ("decay-steps", "3", "decay-share", nil),
            ("schedule", "linear", "decay-shape", nil), ("decay-steps", "3", "decay-shape", "linear"),
            ("warmup-steps", "3", "decay-share", "0.6"), ("warmup-steps", "9", "decay-share", "0.25"),
            ("warmup-steps", "13", "decay-share", "0.0"), ("optimizer", "adamw", "muon-learning-rate", nil),
            ("optimizer", "muon", "muon-learning-rate", "0.04"),
        ] as [(String, String, String, String?)])
    func whatDependsOnOthers(name: String, value: String, dependent: String, expected: String?) throws {
        #expect(try settings(.modern, [(name, value)])[dependent] == expected)
        var configuration = try configuration("run", [("recipe", "modern"), (name, value)])
        configuration.stopAfter = 1
        try train(configuration, ranks: 1)
    }

    /// The line of a run that tells every option.
    private func options(of reporter: RecordingReporter) throws -> Set<Substring> {
        let line = try #require(reporter.lines.first { $0.hasPrefix("configuration: ") })
        return Set(line.split(separator: " ").dropFirst())
    }

    @Test(arguments: Recipe.allCases) func whatIsGivenCounts(recipe: Recipe) throws {
        // One of them is the default.
        let given = [("weight-decay", "0.3"), ("schedule", "cosine"), ("sequence-warmup", "none"), ("beta2", "0.95")]
        var configuration = try configuration("run", given + [("recipe", recipe.rawValue)])
        configuration.stopAfter = 1
        let reporter = RecordingReporter()
        try train(configuration, ranks: 2, reporter: reporter)
        let options = try options(of: reporter)
        for (name, value) in given { #expect(options.contains("\(name)=\(value)"), "\(options)") }
        #expect(options.contains("architecture=\(recipe.rawValue)") && options.contains("recipe=\(recipe.rawValue)"))
        let said = try #require(reporter.lines.first { $0.hasPrefix("recipe \(recipe.rawValue) sets ") })
        for (name, _) in given { #expect(!said.contains("--\(name) "), "\(said)") }
        for (name, value) in recipe.settings(for: configuration) where !given.contains(where: { $0.0 == name }) {
            #expect(said.contains(" --\(name) \(value)") && options.contains("\(name)=\(value)"), "\(name): \(said)")
        }
    }

    /// Without it nothing is set or said.
    @Test func noRecipe() throws {
        let reporter = RecordingReporter()
        try train(configuration("run", [("steps", "1")]), ranks: 1, reporter: reporter)
        #expect(!reporter.lines.contains { $0.hasPrefix("recipe ") })
        #expect(try options(of: reporter).isSuperset(of: ["warmup-steps=100", "learning-rate=0.0003"]))
    }

    /// The same command goes on to the same bits, as it does without the recipe, for the checkpoint has what it set.
    @Test(arguments: Recipe.allCases, [true, false])
    func theSameCommandGoesOn(recipe: Recipe, repeats: Bool) throws {
        let given = [("recipe", recipe.rawValue)]
        try train(configuration("whole", given), ranks: 1)
        var cut = try configuration("cut", given)
        cut.stopAfter = 4
        #expect(try train(cut, ranks: 2) == .stopped)
        let reporter = RecordingReporter()
        try train(configuration("cut", repeats ? given : []), ranks: 1, reporter: reporter)
        #expect(reporter.warnings.isEmpty, "\(reporter.warnings)")
        let said = reporter.lines.filter { $0.hasPrefix("recipe ") }
        let line = "recipe \(recipe.rawValue) sets nothing at a resume: the checkpoint has the values"
        #expect(said == (repeats ? [line] : []))
        let records = try ["whole", "cut"].map {
            try RunRecord(directory, runDirectory: directory.file($0), step: 12)
        }
        for name in ["train_loss", "grad_norm", "lr"] { #expect(records[0].texts(name) == records[1].texts(name)) }
        for name in ["model.safetensors", "optimizer.safetensors"] {
            #expect(records[0].hashes[name] == records[1].hashes[name], "\(name)")
        }
    }

    /// A longer run keeps the share of its decay, and the lengths of its sequences stretch with it.
    @Test func anExtension() throws {
        var first = try configuration("run", [("recipe", "modern")])
        first.stopAfter = 4
        try train(first, ranks: 1)
        var longer = try configuration("run", [("recipe", "modern"), ("steps", "20"), ("extend-schedule", "true")])
        for stop in [6, 7] {
            longer.stopAfter = stop
            try train(longer, ranks: 1)
        }
        let path = directory.file("run") + "/checkpoints/" + CheckpointName.directory(step: 7)
        let schedule = try Checkpoint(verifying: FilePath(path)).state.scheduler.schedule
        #expect(schedule.totalSteps == 20 && schedule.decaySteps == 12 && schedule.decayShare == 0.6)
        #expect(schedule.decayShape == .linear)
        let lengths = try metricsFields(directory.file("run")).map { $0["sequence_length"] }
        #expect(lengths == ["4", "4", "4", "8", "4", "8", "8"])
    }

    /// A given model has its own family; the rest is the recipe's.
    @Test func aGivenModelKeepsItsFamily() throws {
        let configuration = try Curve.configuration(runDirectory: directory.file("run"))
        var own = try self.configuration("run", [("recipe", "modern")])
        (own.initFrom, own.stopAfter) = (configuration.initFrom, 1)
        own.namesGiven = []
        let standard = TrainingConfiguration()
        (own.layers, own.heads, own.embeddingSize) = (standard.layers, standard.heads, standard.embeddingSize)
        (own.contextLength, own.vocabularySize) = (standard.contextLength, nil)
        let reporter = RecordingReporter()
        try train(own, ranks: 1, reporter: reporter)
        let options = try options(of: reporter)
        #expect(options.isSuperset(of: ["architecture=gpt2", "learning-rate=0.01", "schedule=wsd"]), "\(options)")
    }

    /// Ranks with other recipes are ranks that disagree.
    @Test func ranksHaveOneRecipe() throws {
        let (first, second) = (try configuration("run", [("recipe", "modern")]), try configuration("run"))
        let error = try #require(throws: AgreedError.self) {
            try ThreadWorld.run(worldSize: 2) { communicator in
                try Trainer(
                    communicator.rank == 0 ? first : second, communicator: communicator, reporter: SilentReporter()
                ).step
            }
        }
        #expect(error.exitCode == .ranksDisagree && error.description.contains("recipe"), "\(error)")
    }
}
