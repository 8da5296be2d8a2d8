import Basics
import Testing
import Training

/// What files, environment and flags give, and which of them counts.
@Suite struct GivenOptionsTests {
    private typealias Given = GivenOptions<TrainingConfiguration>

    @Test("each part of the help has a section of a name that is no option") func sections() {
        let names = TrainingConfiguration.sectionNames
        #expect(names.count == TrainingConfiguration.sections.count && Set(names).count == names.count)
        for name in names { #expect(TrainingConfiguration.option(name) == nil, "\(name)") }
        for row in TrainingConfiguration.options { #expect(names.indices.contains(row.section), "\(row.name)") }
    }

    @Test("a flag wins over the environment, and that over a file") func precedence() throws {
        var given = Given()
        for name in ["layers", "heads", "steps"] { try given.take(name, "2", file: "run.yaml", line: 7) }
        try given.take(environment: ["SWIFTLET_HEADS": "3", "SWIFTLET_STEPS": "3"])
        try given.take(flags: [("steps", "4")], requiringAll: false)
        #expect(given.settings.layers == 2 && given.settings.heads == 3 && given.settings.steps == 4)
        #expect(
            given.origins.mapValues { "\($0)" } == ["layers": "run.yaml:7", "heads": "SWIFTLET_HEADS", "steps": "flag"])
        // What a flag replaced is not told.
        #expect(given.environmentRemark == "from the environment: SWIFTLET_HEADS=3")
        #expect(Given().environmentRemark == nil)
        #expect(given.settings.namesGiven == ["layers", "heads", "steps"])
    }

    @Test("every option has its variable", arguments: TrainingConfiguration.options.map(\.name))
    func variables(name: String) throws {
        let row = try #require(TrainingConfiguration.option(name))
        #expect(row.variable.hasPrefix("SWIFTLET_") && !row.variable.contains("-"))
        var given = Given()
        guard row.successor == nil else {
            let error = #expect(throws: ExitError.self) { try given.take(environment: [row.variable: "3"]) }
            #expect(error?.description.hasPrefix("\(row.variable): \(name) is now ") == true)
            return
        }
        let value = try #require(TrainingConfigurationTests.values[name])
        try given.take(environment: [row.variable: value])
        #expect(row.write(given.settings) == value && given.warnings.isEmpty)
        #expect(given.origins == [name: .environment(row.variable)])
    }

    @Test("a wrong value names its variable") func aWrongValue() {
        var given = Given()
        let error = #expect(throws: ExitError.self) { try given.take(environment: ["SWIFTLET_LEARNING_RATE": "fast"]) }
        #expect(error?.exitCode == 64)
        #expect(
            error?.description
                == "SWIFTLET_LEARNING_RATE: learning-rate is 'fast', expected a number, 0.0 or more")
    }

    @Test("an unknown name is a warning, an empty value and what others read are nothing") func unknown() throws {
        var given = Given()
        try given.take(environment: [
            "SWIFTLET_LEARNING_RATES": "1", "SWIFTLET_LAYERS": "", "SWIFTLET_CPU": "native",
            "SWIFTLET": "/bin/swiftlet",
            "PATH": "/bin",
        ])
        #expect(given.origins.isEmpty && given.settings == TrainingConfiguration())
        #expect(
            given.warnings == [
                "SWIFTLET_LEARNING_RATES in the environment is not an option of train and has no effect; did you mean "
                    + "SWIFTLET_LEARNING_RATE?"
            ])
    }

    @Test("what must be there is asked for at the end, where it is") func whatIsMissing() throws {
        var given = Given()
        try given.take("train-data", "a", file: "run.yaml", line: nil)
        try given.take(flags: [], requiringAll: false)
        let error = #expect(throws: ExitError.self) { try given.take(flags: []) }
        #expect(error?.description.hasPrefix("--run-dir is missing") == true)
        try given.take(environment: ["SWIFTLET_RUN_DIR": "b"])
        try given.take(flags: [])
    }
}
