import Basics
import Testing
import Training
import Transformer

@Suite struct TrainingConfigurationTests {
    /// The defaults, which `--help` and config.json show.
    static let defaults = [
        "layers": "6", "heads": "6", "embedding-size": "384", "context-length": "256", "micro-batch": "8",
        "global-batch": "16", "steps": "10000", "warmup-steps": "100", "learning-rate": "0.0003",
        "min-learning-rate": "0.0", "schedule": "cosine", "weight-decay": "0.1", "beta1": "0.9", "beta2": "0.95",
        "epsilon": "1e-08", "grad-clip": "1.0", "precision": "auto", "reduction": "exact",
        "overlap": "messages", "threads": "auto", "log-interval": "10", "eval-interval": "100",
        "eval-sequences": "160", "checkpoint-interval": "100", "keep": "3",
        "keep-best": "false", "fingerprint-interval": "100",
        "step-timeout": "60",
        "resume": "auto", "seed": "1337", "no-shuffle": "false", "debug": "false", "extend-schedule": "false",
        "allow-other-tokenizer": "false", "progress": "false", "no-tensorboard": "false", "train-data": "",
        "run-dir": "",
        "architecture": "gpt2", "untied-head": "false", "recompute": "false", "dropout": "0.0",
        "optimizer": "adamw", "muon-learning-rate": "0.02", "muon-momentum": "0.95", "muon-weight-decay": "0.01",
        "muon-precision": "auto",
        "sequence-warmup": "none", "decay-shape": "sqrt",
        "sample-tokens": "64", "log-format": "text",
    ]

    /// A value for each option that is not its default.
    static let values = [
        "train-data": "data/train_*.bin", "val-data": "data/val_*.bin", "run-dir": "runs/a", "layers": "2",
        "heads": "3", "embedding-size": "30", "context-length": "23", "vocab-size": "97", "init-from": "models/gpt2",
        "micro-batch": "4", "global-batch": "32", "steps": "77", "warmup-steps": "0", "learning-rate": "0.001",
        "min-learning-rate": "1e-05", "schedule": "wsd", "decay-steps": "7", "weight-decay": "0.0", "beta1": "0.8",
        "beta2": "0.999", "epsilon": "1e-06", "grad-clip": "0.0", "precision": "bf16", "reduction": "mpi",
        "overlap": "none",
        "threads": "3", "log-interval": "1", "eval-interval": "5", "eval-sequences": "all", "checkpoint-interval": "50",
        "keep": "1", "keep-best": "true", "fingerprint-interval": "9", "stop-after": "12", "step-timeout": "90",
        "stop-after-no-improvement": "4",
        "resume": "runs/a/checkpoints/step-00000010",
        "extend-schedule": "true", "rewarm": "20", "allow-other-tokenizer": "true", "seed": "18446744073709551615",
        "no-shuffle": "true", "debug": "true", "trace": "trace.json", "progress": "true",
        "no-tensorboard": "true",
        "inner-size": "99", "activation": "gelu_fast", "norm-epsilon": "0.001", "untied-head": "true",
        "architecture": "llama", "kv-heads": "1", "head-size": "12", "rope-theta": "500.0", "soft-cap": "15.0",
        "recompute": "true", "dropout": "0.1", "embedding-dropout": "0.2", "attention-dropout": "0.3",
        "optimizer": "muon", "muon-learning-rate": "0.04", "muon-momentum": "0.85", "muon-weight-decay": "0.0",
        "muon-precision": "fp32",
        "residual-dropout": "0.4", "decay-share": "0.5", "sequence-warmup": "64:0.25,128:0.5", "recipe": "modern",
        "decay-shape": "linear",
        "sample-interval": "250", "sample-prompt": "let ", "sample-tokens": "32", "log-format": "json",
    ]

    private static let rows = TrainingConfiguration.options.filter { $0.successor == nil }

    @Test func everyOptionHasAValueHere() {
        #expect(Set(Self.rows.map(\.name)) == Set(Self.values.keys))
        #expect(Self.rows.count == Self.values.count)
        let actual = Dictionary(uniqueKeysWithValues: TrainingConfiguration().values.map { ($0.name, $0.value) })
        #expect(actual == Self.defaults)
    }

    /// What `--help` says of a default is the default.
    @Test(arguments: rows.map(\.name)) func theHelpTellsTheDefault(name: String) throws {
        let row = try #require(TrainingConfiguration.option(name))
        let isFlag = row.form.placeholder == nil
        #expect(row.fallback == nil || !isFlag)
        let standard = Self.defaults[name]
        if let standard, !standard.isEmpty, !isFlag { #expect(row.fallback == standard) }
        #expect(row.isRequired == (standard == ""))
        #expect(row.help.hasSuffix("."))
    }

    @Test(arguments: values.keys.sorted())
    func everyOptionComesBackAsItWentIn(name: String) throws {
        let value = try #require(Self.values[name])
        var configuration = TrainingConfiguration()
        try configuration.set(name, value)
        #expect(configuration.values.first { $0.name == name }?.value == value)
        #expect(configuration.namesGiven == [name])
        // And nothing else has changed.
        let others = configuration.values.filter { $0.name != name }
        let defaults = TrainingConfiguration().values.filter { $0.name != name }
        #expect(others.map(\.name) == defaults.map(\.name))
        #expect(others.map(\.value) == defaults.map(\.value))
    }

    /// What a role means for each table that follows from it, by a list of its own.
    @Test func rolesSayWhoComparesAndKeeps() {
        let places: Set = [
            "train-data", "val-data", "run-dir", "init-from", "resume", "trace", "progress", "log-format",
            "no-tensorboard",
        ]
        let kept: Set = [
            "layers", "heads", "embedding-size", "context-length", "vocab-size", "micro-batch", "global-batch",
            "weight-decay", "beta1", "beta2", "epsilon", "grad-clip", "precision", "reduction", "seed", "no-shuffle",
            "inner-size", "activation", "norm-epsilon", "untied-head", "architecture", "kv-heads", "head-size",
            "rope-theta", "soft-cap", "dropout", "embedding-dropout", "attention-dropout", "residual-dropout",
            "optimizer", "muon-momentum", "muon-weight-decay", "muon-precision",
            "sequence-warmup",
        ]
        var all = TrainingConfiguration()
        for (name, value) in Self.values { try? all.set(name, value) }
        #expect(Set(all.comparedOverRanks.map(\.name)) == Set(Self.values.keys).subtracting(places))
        #expect(Set(all.keptInCheckpoints.map(\.name)) == kept)
        #expect(
            Set(Self.rows.filter(\.form.isPath).map(\.name))
                == places.subtracting(["progress", "log-format", "no-tensorboard"]))
    }

    @Test(arguments: [
        ("layer", "layers"), ("max-learning-rate", "min-learning-rate"), ("lr", "steps"), ("batch-size", nil),
        ("embeding-size", "embedding-size"), ("val_data", "val-data"), ("", nil),
    ])
    func anUnknownOptionIsAnErrorWithASuggestion(name: String, suggestion: String?) {
        var configuration = TrainingConfiguration()
        let error = #expect(throws: ExitError.self) { try configuration.set(name, "1", source: "run.yaml") }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasPrefix("run.yaml: \(name) is not an option of train; did you mean ") == true)
        if let suggestion, name != "lr" { #expect(error?.description.hasSuffix("mean \(suggestion)?") == true) }
        #expect(configuration == TrainingConfiguration())
    }

    @Test("S2: an option that has another name now is refused with the new one")
    func anOldNameNamesTheNewOne() {
        var configuration = TrainingConfiguration()
        let error = #expect(throws: ExitError.self) { try configuration.set("eval-batches", "20") }
        #expect(error?.description.hasPrefix("--eval-batches is now --eval-sequences: ") == true)
        let inFile = #expect(throws: ExitError.self) {
            try configuration.set("eval-batches", "20", source: "a.yaml")
        }
        #expect(inFile?.description.hasPrefix("a.yaml: eval-batches is now eval-sequences: ") == true)
        var evaluation = ModelEvaluation.Options()
        let other = #expect(throws: ExitError.self) { try evaluation.set("windows", "20") }
        #expect(other?.description.hasPrefix("--windows is now --sequences: ") == true)
        #expect([error?.exitCode, inFile?.exitCode, other?.exitCode] == [64, 64, 64])
    }

    @Test("S14: an option that stands there twice is refused")
    func anOptionGivenTwiceIsRefused() throws {
        var configuration = TrainingConfiguration()
        let error = #expect(throws: ExitError.self) {
            try configuration.apply([("train-data", "a"), ("seed", "1"), ("train-data", "b")])
        }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasPrefix("--train-data is given more than once") == true)
    }

    @Test(arguments: [
        ("layers", "six", "a whole number"), ("layers", "2.5", "a whole number"), ("layers", "", "a whole number"),
        ("layers", " 6", "a whole number"), ("layers", "1_0", "a whole number"), ("layers", "0x10", "a whole number"),
        ("steps", "99999999999999999999", "a whole number"), ("learning-rate", "fast", "a number, 0.0 or more"),
        ("schedule", "cosin", "cosine, linear, constant, wsd"), ("decay-shape", "straight", "sqrt, linear"),
        ("optimizer", "adam", "adamw, muon"),
        ("muon-precision", "fp16", "auto, fp32, bf16"), ("precision", "fp16", "auto, fp32, bf16"),
        ("reduction", "nccl", "exact, mpi"), ("overlap", "thread", "none, messages"),
        ("threads", "all", "auto, a whole number"), ("eval-sequences", "auto", "all, a whole number"),
        ("seed", "-1", "a whole number from 0 to 18446744073709551615"), ("no-shuffle", "yes", "true or false"),
        ("resume", "", "auto, never or a checkpoint directory"), ("train-data", "", "a path"),
    ])
    func aBadValueSaysWhatWasExpected(name: String, value: String, expected: String) {
        var configuration = TrainingConfiguration()
        let error = #expect(throws: ExitError.self) { try configuration.set(name, value) }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasPrefix("--\(name) is '\(value)', expected ") == true)
        for word in expected.split(separator: ", ") { #expect(error?.description.contains(word) == true, "\(word)") }
        #expect(configuration == TrainingConfiguration())
    }

    @Test(arguments: [
        ("layers", "0"), ("heads", "-1"), ("embedding-size", "0"), ("context-length", "0"), ("vocab-size", "1"),
        ("micro-batch", "0"), ("global-batch", "0"), ("steps", "0"), ("warmup-steps", "-1"), ("learning-rate", "nan"),
        ("learning-rate", "-1"), ("learning-rate", "inf"), ("weight-decay", "-0.1"),
        ("beta1", "1"), ("beta2", "1.5"), ("epsilon", "nan"), ("grad-clip", "-1"), ("threads", "0"),
        ("threads", "1025"),
        ("log-interval", "0"), ("eval-interval", "0"), ("eval-sequences", "-1"), ("checkpoint-interval", "0"),
        ("keep", "0"), ("keep", "-1"), ("fingerprint-interval", "0"), ("stop-after", "0"), ("rewarm", "0"),
        ("stop-after-no-improvement", "0"),
        ("muon-learning-rate", "-1"), ("muon-momentum", "1"), ("muon-weight-decay", "-0.1"),
        ("decay-steps", "-3"), ("decay-share", "1.1"), ("decay-share", "-0.1"), ("decay-share", "nan"),
        ("sample-interval", "0"), ("sample-tokens", "0"), ("sample-tokens", "10001"), ("log-format", "xml"),
        ("recipe", "fast"), ("sequence-warmup", "64"), ("sequence-warmup", "64:1.5"), ("sequence-warmup", "0:0.5"),
        ("sequence-warmup", "64:0.5,32:0.75"), ("sequence-warmup", "64:0.5,128:0.5"), ("sequence-warmup", ""),
    ])
    func aValueOutOfItsRangeIsNamed(name: String, value: String) {
        var configuration = TrainingConfiguration()
        let error = #expect(throws: ExitError.self) { try configuration.set(name, value) }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasPrefix("--\(name) is '\(value)', expected ") == true)
    }

    /// Numbers that are none together.
    @Test(arguments: [
        ["min-learning-rate": "1"], ["decay-steps": "3"], ["decay-share": "0.5"], ["decay-shape": "linear"],
        ["decay-share": "0.5", "decay-steps": "3", "schedule": "wsd"],
        ["decay-share": "0.995", "schedule": "wsd"], ["sequence-warmup": "64:0.25,96:0.5"],
        ["sequence-warmup": "256:0.5"],
        ["steps": "999999999999", "global-batch": "16777216"],
    ])
    func valuesThatDoNotGoTogetherAreNamed(options: [String: String]) throws {
        var configuration = TrainingConfiguration()
        for (name, value) in options { try configuration.set(name, value) }
        do {
            try configuration.validateTogether()
            Issue.record("\(options) was taken")
        } catch {
            #expect(exitCode(of: error) == 64)
            #expect("\(error)".contains("--\(options.keys.sorted()[0])"), "\(error)")
        }
    }

    /// `--dropout` means every place that has no option of its own.
    @Test func dropoutOfEachPlace() throws {
        var configuration = TrainingConfiguration()
        try configuration.set("dropout", "0.1")
        #expect(configuration.dropoutRates == DropoutRates(embedding: 0.1, attention: 0.1, residual: 0.1))
        for (name, value) in [("embedding", "0.2"), ("attention", "0.0"), ("residual", "0.3")] {
            try configuration.set("\(name)-dropout", value)
        }
        #expect(configuration.dropoutRates == DropoutRates(embedding: 0.2, attention: 0, residual: 0.3))
    }

    @Test func whatMustBeGivenIsNamed() throws {
        var configuration = TrainingConfiguration()
        #expect(throws: ExitError.self) { try configuration.validate() }
        configuration.trainData = "data/*.bin"
        let error = #expect(throws: ExitError.self) { try configuration.validate() }
        #expect(error?.description.hasPrefix("--run-dir is missing") == true)
    }

    @Test(arguments: ["keep-best", "stop-after-no-improvement"])
    func whatGoesByTheValidationLossNeedsOne(name: String) throws {
        var configuration = TrainingConfiguration()
        configuration.trainData = "data/*.bin"
        configuration.runDirectory = "run"
        try configuration.set(name, name == "keep-best" ? "true" : "3")
        let error = #expect(throws: ExitError.self) { try configuration.validate() }
        #expect(error?.exitCode == 64)
        #expect(error?.description.hasPrefix("--\(name) goes by the validation loss; give --val-data") == true)
        configuration.validationData = "data/*.bin"
        try configuration.validate()
    }

    @Test func twoWaysToChangeTheScheduleExcludeEachOther() throws {
        var configuration = TrainingConfiguration()
        configuration.trainData = "data/*.bin"
        configuration.runDirectory = "run"
        configuration.extendSchedule = true
        configuration.rewarm = 5
        #expect(throws: ExitError.self) { try configuration.validate() }
    }
}
