import Basics

/// What a command was told, from the weakest to the strongest: by a file, by the environment, by flags.
package struct GivenOptions<Settings: OptionSettings>: Sendable {
    /// The settings so far.
    package private(set) var settings = Settings()
    /// Where each option that was given comes from, by name.
    package private(set) var origins: [String: OptionOrigin] = [:]
    /// What is to be said of the environment.
    package private(set) var warnings: [String] = []

    package init() {}

    /// Takes an option of a file.
    /// - Throws: as `OptionSettings.set`.
    package mutating func take(_ name: String, _ text: String, file: String, line: Int?) throws(ExitError) {
        let origin = OptionOrigin.file(file, line: line)
        try settings.set(name, text, source: "\(origin)")
        origins[name] = origin
    }

    /// Takes the options that environment variables give: `SWIFTLET_LEARNING_RATE` is `--learning-rate`. An empty value
    /// means nothing; a name that is no option is a warning, for it may be meant for another version.
    /// - Throws: as `OptionSettings.set`.
    package mutating func take(environment: [String: String]) throws(ExitError) {
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where !text.isEmpty {
            guard variable.hasPrefix(variablePrefix), !otherVariables.contains(variable) else { continue }
            guard let row = Settings.options.first(where: { $0.variable == variable }) else {
                let names = Settings.options.filter { $0.successor == nil }.map(\.variable)
                warnings.append(
                    "\(printable(variable)) in the environment is not an option of \(Settings.command) and has no effect; "
                        + "did you mean \(nearest(variable, of: names))?")
                continue
            }
            try settings.set(row.name, text, source: variable)
            origins[row.name] = .environment(variable)
        }
    }

    /// Takes what stands on the command line.
    /// - Parameter requiringAll: whether what the command cannot do without must be there now.
    /// - Throws: as `OptionSettings.apply`.
    package mutating func take(flags: [(name: String, text: String)], requiringAll: Bool = true) throws(ExitError) {
        try settings.apply(flags, requiringAll: requiringAll)
        for (name, _) in flags { origins[name] = .flag }
    }

    /// The line of the log that names what the environment gave and nothing stronger replaced; nil where that is nothing.
    package var environmentRemark: String? {
        let given = Settings.options.compactMap { row -> String? in
            guard case .environment(let variable)? = origins[row.name] else { return nil }
            return "\(variable)=\(printable(row.write(settings) ?? ""))"
        }
        return given.isEmpty ? nil : "from the environment: \(given.joined(separator: " "))"
    }
}

extension CommandOption {
    /// The environment variable that gives the option.
    package var variable: String { variablePrefix + name.uppercased().replacing("-", with: "_") }
}

private let variablePrefix = "SWIFTLET_"

/// What the build reads.
private let otherVariables: Set<String> = ["SWIFTLET_CPU", "SWIFTLET_COMMIT"]
