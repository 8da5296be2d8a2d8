import Basics
import Foundation
import TestSupport
import Testing
import Training

/// What `--print-config` says a run would begin with, against what runs begin with.
@Suite struct EffectiveConfigurationTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func given(_ options: [(String, String)]) throws -> GivenOptions<TrainingConfiguration> {
        var given = GivenOptions<TrainingConfiguration>()
        try given.take(flags: options.map { (name: $0.0, text: $0.1) }, requiringAll: false)
        return given
    }

    private func effective(_ options: [(String, String)]) throws -> EffectiveConfiguration {
        try EffectiveConfiguration(given(options))
    }

    /// A new run of twelve steps.
    private func options(_ more: [(String, String)] = []) -> [(String, String)] {
        let own = [
            ("train-data", Curve.tokens), ("run-dir", directory.file("run")), ("layers", "2"), ("heads", "2"),
            ("embedding-size", "32"), ("context-length", "16"), ("vocab-size", "64"), ("micro-batch", "1"),
            ("global-batch", "4"), ("steps", "12"), ("warmup-steps", "2"), ("precision", "fp32"), ("threads", "1"),
            ("eval-interval", "5"),
        ]
        return own.filter { old in !more.contains { $0.0 == old.0 } } + more
    }

    /// The options that a run tells in its log.
    private func begun(_ options: [(String, String)], stopAfter: Int? = nil) throws -> (
        values: Set<String>, reporter: RecordingReporter
    ) {
        var configuration = try given(options).settings
        configuration.stopAfter = stopAfter
        let reporter = RecordingReporter()
        try train(configuration, ranks: 1, reporter: reporter)
        let line = try #require(reporter.lines.first { $0.hasPrefix("configuration: ") })
        return (Set(line.split(separator: " ").dropFirst().map(String.init)), reporter)
    }

    private func texts(_ configuration: TrainingConfiguration) -> Set<String> {
        Set(configuration.values.map { "\($0.name)=\($0.value)" })
    }

    /// Options that the YAML has, by name. The files of the executable are read with a real reader in EndToEndTests.
    private func lines(_ effective: EffectiveConfiguration) -> [String: Substring] {
        var found: [String: Substring] = [:]
        for line in effective.yaml.split(separator: "\n") where line.hasPrefix("  ") {
            let name = line.drop { $0 == " " || $0 == "#" }.prefix { $0 != ":" }
            found[String(name)] = line
        }
        return found
    }

    @Test("every option is there with where it comes from") func origins() throws {
        var given = GivenOptions<TrainingConfiguration>()
        try given.take("layers", "2", file: "run.yaml", line: 3)
        try given.take(environment: ["SWIFTLET_SEED": "5"])
        try given.take(flags: [("train-data", "a b/*.bin")], requiringAll: false)
        let effective = try EffectiveConfiguration(given)
        let lines = lines(effective)
        #expect(Set(lines.keys) == Set(TrainingConfiguration.options.filter { $0.successor == nil }.map(\.name)))
        func expect(_ name: String, _ value: String, _ origin: String) {
            let parts = lines[name]?.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
            #expect(parts == "\(name): \(value) # \(origin)")
        }
        expect("layers", "2", "run.yaml:3")
        expect("seed", "5", "SWIFTLET_SEED")
        expect("train-data", "\"a b/*.bin\"", "flag")
        expect("heads", "6", "default")
        #expect(lines["run-dir"] == "  # run-dir: must be given")
        #expect(lines["vocab-size"] == "  # vocab-size: that of the tokenizer beside the training data")
        #expect(lines["val-data"] == "  # val-data: not set")
        let sections = effective.yaml.split(separator: "\n").filter { !$0.hasPrefix(" ") && !$0.hasPrefix("#") }
        #expect(sections.map { String($0.dropLast()) } == TrainingConfiguration.sectionNames)
    }

    @Test("a new run begins with what was printed", arguments: [nil, "gpt2", "modern"])
    func aNewRun(recipe: String?) throws {
        // A recipe leaves alone what is given.
        let options = options(recipe.map { [("recipe", $0), ("beta2", "0.98")] } ?? [])
            .filter { recipe == nil || $0.0 != "warmup-steps" }
        let effective = try effective(options)
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
        let told = try begun(options, stopAfter: 1).values
        let printed = texts(effective.configuration)
        // What follows from the shape is worked out when there is one.
        let derived = ["kv-heads", "head-size", "inner-size", "activation", "norm-epsilon", "rope-theta", "stop-after"]
        let open = told.subtracting(printed).filter { text in !derived.contains { text.hasPrefix($0 + "=") } }
        #expect(open.subtracting(["muon-precision=bf16", "muon-precision=fp32"]).isEmpty, "\(open)")
        #expect(printed.subtracting(told).subtracting(["muon-precision=auto"]).isEmpty)
        #expect(lines(effective)["beta2"]?.hasSuffix(recipe == nil ? "# default" : "# flag") == true)
        if let recipe {
            #expect(lines(effective)["learning-rate"]?.hasSuffix("# recipe \(recipe)") == true)
            #expect(effective.remarks.first?.hasPrefix("recipe \(recipe) sets --") == true)
        }
    }

    @Test("a given model gives its shape, and what contradicts it is refused") func aGivenModel() throws {
        let options = [("train-data", Curve.tokens), ("init-from", Curve.directory)]
        let effective = try effective(options)
        let lines = lines(effective)
        let model = try #require(lines["layers"])
        #expect(model.hasSuffix("# model of --init-from"))
        #expect(lines["steps"]?.hasSuffix("# default") == true)
        let error = #expect(throws: ExitError.self) { try self.effective(options + [("embedding-size", "4096")]) }
        #expect(error?.exitCode == 64 && error?.description.contains("contradicts") == true)
    }

    @Test("a resume shows the checkpoint's values and what differs from the newest start") func aResume() throws {
        _ = try begun(options([("eval-interval", "5"), ("beta1", "0.8")]), stopAfter: 6)
        let wanted = [
            ("train-data", Curve.tokens), ("run-dir", directory.file("run")), ("eval-interval", "3"), ("beta2", "0.9"),
            ("threads", "1"),
        ]
        let effective = try effective(wanted)
        let lines = lines(effective)
        for name in ["layers", "steps", "beta1", "precision", "vocab-size", "learning-rate"] {
            #expect(lines[name]?.hasSuffix("# step-00000006") == true, "\(lines[name] ?? "")")
        }
        #expect(lines["beta2"]?.hasSuffix("# flag") == true)
        #expect(effective.configuration.layers == 2 && effective.configuration.optimizer.beta1 == 0.8)
        #expect(effective.remarks.contains("goes on from step-00000006"))
        #expect(effective.remarks.contains("changed since the last start: --eval-interval 5 → 3"))
        // Said once, with the word for it.
        #expect(effective.remarks.filter { $0.contains("--beta2") } == ["--beta2 changes at this resume: 0.95 → 0.9"])
        // A recipe leaves all of it alone.
        let withRecipe = try self.effective(wanted + [("recipe", "gpt2")])
        #expect(self.lines(withRecipe)["learning-rate"]?.hasSuffix("# step-00000006") == true)
        #expect(withRecipe.configuration.optimizer.beta1 == 0.8)
        #expect(!withRecipe.remarks.contains { $0.contains(" sets --") }, "\(withRecipe.remarks)")
        let other = #expect(throws: ExitError.self) { try self.effective(wanted + [("layers", "3")]) }
        #expect(other?.exitCode == 64 && other?.description.contains("the checkpoint has 2") == true)
        let longer = #expect(throws: ExitError.self) { try self.effective(wanted + [("steps", "40")]) }
        #expect(longer?.exitCode == 64 && longer?.description.contains("saved 12, asked for 40") == true)
        let never = #expect(throws: ExitError.self) { try self.effective(wanted + [("resume", "never")]) }
        #expect(never?.exitCode == 73)
        // And the run says and does the same.
        let (values, reporter) = try begun(wanted)
        let printed = texts(effective.configuration)
        #expect(values == printed, "\(values.symmetricDifference(printed))")
        #expect(
            reporter.lines.filter { $0.hasPrefix("changed since") }.sorted() == [
                "changed since the last start: --eval-interval 5 → 3",
                "changed since the last start: --stop-after 6 → none",
            ])
        #expect(reporter.warnings.filter { $0.contains("--beta2") }.count == 1)
        // A third start with the same options has nothing to say.
        let third = try begun(wanted).reporter
        #expect(!third.lines.contains { $0.hasPrefix("changed since") }, "\(third.lines)")
    }

    @Test("what nobody wrote down is not known, and stops nothing") func aDamagedRecord() throws {
        _ = try begun(options(), stopAfter: 6)
        let record = directory.file("run/config.json")
        try Data("{".utf8).write(to: URL(fileURLWithPath: record))
        let reporter = try begun(options(), stopAfter: 7).reporter
        #expect(reporter.lines.contains { $0.hasPrefix("what changed since the last start is not known: ") })
        try FileManager.default.removeItem(atPath: record)
        let other = try begun(options([("keep", "2")]), stopAfter: 8).reporter
        #expect(!other.lines.contains { $0.contains("the last start") }, "\(other.lines)")
    }

    @Test("options that exclude each other are refused before anything is printed")
    func excluding() {
        for options in [
            [("extend-schedule", "true"), ("rewarm", "3")], [("keep-best", "true")], [("decay-steps", "3")],
            [("heads", "5")], [("kv-heads", "2")],
        ] {
            let error = #expect(throws: (any Error).self) { try effective(options) }
            #expect(error.map { exitCode(of: $0) } == 64, "\(options)")
        }
    }
}
