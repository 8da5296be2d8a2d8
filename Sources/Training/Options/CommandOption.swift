import Basics

/// What an option has a part in: who must have it alike, who keeps it, and whether a resume may change it.
package enum OptionRole: Sendable {
    /// What the run is. All ranks have it alike and checkpoints keep it. A resume goes on with the checkpoint's value;
    /// another one that was given contradicts it (exit code 64).
    case identity
    /// The learning rate's curve, as `identity`; the scheduler's state keeps it, and `LearningRateSchedule+Resume`
    /// has the rules.
    case schedule
    /// How the run goes on: as `identity`, but a value that was given counts, with a warning where it is another.
    case tuning
    /// When ranks meet and what is said and saved: all ranks have it alike, no checkpoint keeps it.
    case rhythm
    /// A path, or the display: each rank's own. What a path leads to is compared by its contents.
    case place
}

/// One option of a command: everything that is known of it, written down once.
///
/// The command line and its help, the configuration file, the comparison between ranks, what a checkpoint keeps, the
/// rules of a resume and the tests all read the table that these make up, `Settings.options`.
package struct CommandOption<Settings: OptionSettings>: Sendable {
    /// The name, without its dashes.
    package var name: String
    /// A sentence for `--help`.
    package var help: String
    /// What `--help` says is used without the option, where the default is no value.
    var otherwise: String?
    /// Which part of `--help` it belongs to: an index of `Settings.sections`.
    package var section = 0
    package var role = OptionRole.rhythm
    /// Whether a command cannot run without it.
    package var isRequired = false
    /// Whether it can be given more than once, each time with one more value.
    package var isRepeatable = false
    /// What its values are.
    package var form: OptionForm
    /// The option that took this one's place: the name is still known, to be refused with a word.
    package var successor: String?
    /// Puts a text's value into the settings; false for a text that is no value.
    package var read: @Sendable (inout Settings, String) -> Bool
    /// The value in the settings as text; nil where there is none.
    package var write: @Sendable (Settings) -> String?

    /// What is used when the option is not given, for `--help`; nil: nothing.
    package var fallback: String? {
        form.placeholder == nil || isRequired ? nil : write(Settings()) ?? otherwise
    }
}

extension CommandOption {
    /// An option whose value is a property of the settings, with the property's own default.
    package init<Value>(
        _ name: String, _ path: WritableKeyPath<Settings, Value> & Sendable, _ value: OptionValue<Value>,
        as role: OptionRole = .rhythm, required: Bool = false, otherwise: String? = nil, section: Int = 0,
        _ help: String
    ) {
        self.init(
            name: name, help: help, otherwise: otherwise, section: section, role: role, isRequired: required,
            form: value.form,
            read: { settings, text in
                guard let value = value.read(text) else { return false }
                settings[keyPath: path] = value
                return true
            },
            write: { value.write($0[keyPath: path]) })
    }

    /// An option that can be given several times, each time with one more value.
    package static func repeatable<Element>(
        _ name: String, _ path: WritableKeyPath<Settings, [Element]> & Sendable, _ value: OptionValue<Element>,
        as role: OptionRole = .rhythm, section: Int = 0, _ help: String
    ) -> CommandOption {
        CommandOption(
            name: name, help: help, section: section, role: role, isRepeatable: true, form: value.form,
            read: { settings, text in
                guard let value = value.read(text) else { return false }
                settings[keyPath: path].append(value)
                return true
            },
            write: { settings in
                let values = settings[keyPath: path].compactMap(value.write)
                return values.isEmpty ? nil : values.joined(separator: " ")
            })
    }

    /// The name of an option that is no more, with the one in its place and the difference between them.
    package static func renamed(_ name: String, to successor: String, _ difference: String) -> CommandOption {
        CommandOption(
            name: name, help: difference, form: OptionForm(placeholder: "value", expected: ""), successor: successor,
            read: { _, _ in false }, write: { _ in nil })
    }

    /// The same option of settings that these are a part of.
    package func lifted<Whole>(to part: WritableKeyPath<Whole, Settings> & Sendable) -> CommandOption<Whole> {
        CommandOption<Whole>(
            name: name, help: help, otherwise: otherwise, isRequired: isRequired, form: form, successor: successor,
            read: { [read] in read(&$0[keyPath: part], $1) }, write: { [write] in write($0[keyPath: part]) })
    }
}

/// What a command can be told: its values with their defaults, and the table of its options.
package protocol OptionSettings: Sendable {
    /// The defaults.
    init()
    /// The command's name, for messages.
    static var command: String { get }
    /// Titles of the parts of `--help`, in order.
    static var sections: [String] { get }
    /// What a configuration file calls them, in the same order; none where all options stand side by side.
    static var sectionNames: [String] { get }
    /// The table, in the order of `--help`.
    static var options: [CommandOption<Self>] { get }
    /// The options that were set, by flag or file.
    var namesGiven: Set<String> { get set }
}

extension OptionSettings {
    package static var sections: [String] { ["Options"] }
    package static var sectionNames: [String] { [] }

    /// The row of a name.
    package static func option(_ name: String) -> CommandOption<Self>? { options.first { $0.name == name } }

    /// Every option that has a value, in the table's order.
    package var values: [(name: String, value: String)] { values { _ in true } }

    /// The options of some roles that have a value, in the table's order.
    package func values(where isWanted: (OptionRole) -> Bool) -> [(name: String, value: String)] {
        Self.options.compactMap { row in isWanted(row.role) ? row.write(self).map { (row.name, $0) } : nil }
    }

    /// Sets an option from its text.
    /// - Parameter source: the file that it stands in; nil for the command line.
    /// - Throws: `ExitError` (64) for an unknown name or a text that is no value of the option.
    package mutating func set(_ name: String, _ text: String, source: String? = nil) throws(ExitError) {
        let shown = source.map { "\($0): \(name)" } ?? "--\(name)"
        guard let row = Self.option(name) else {
            let near = nearest(name, of: Self.options.filter { $0.successor == nil }.map(\.name))
            throw .usage("\(shown) is not an option of \(Self.command); did you mean \(near)?")
        }
        if let successor = row.successor {
            throw .usage("\(shown) is now \(source == nil ? "--" : "")\(successor): \(row.help)")
        }
        guard row.read(&self, text) else { throw .usage("\(shown) is '\(text)', expected \(row.form.expected)") }
        namesGiven.insert(name)
    }

    /// Sets options in turn and checks that what the command cannot do without is there.
    /// - Parameter requiringAll: whether that is checked now.
    /// - Throws: as `set`, and for an option that stands there twice or a required one that is missing.
    package mutating func apply(_ given: [(name: String, text: String)], requiringAll: Bool = true) throws(ExitError) {
        var seen: Set<String> = []
        for (name, text) in given {
            guard seen.insert(name).inserted || Self.option(name)?.isRepeatable == true else {
                throw .usage("--\(name) is given more than once, and only one value can count; give it once")
            }
            try set(name, text)
        }
        if requiringAll { try requireAll() }
    }

    /// Checks that every required option has a value.
    package func requireAll() throws(ExitError) {
        for row in Self.options where row.isRequired && (row.write(self) ?? "").isEmpty && !isGiven(row) {
            throw .usage("--\(row.name) is missing; give it. \(row.help)")
        }
    }

    /// Whether somebody chose the option's value: by setting it, or by having another one than the default.
    package func isGiven(_ row: CommandOption<Self>) -> Bool {
        namesGiven.contains(row.name) || row.write(self) != row.write(Self())
    }
}

/// The one of some words that a wrong one was most likely meant to be.
package func nearest(_ word: String, of words: [String]) -> String {
    words.min { distance($0, word) < distance($1, word) } ?? ""
}

/// How many letters must be added, dropped or changed to turn one word into the other (Levenshtein 1966).
private func distance(_ a: String, _ b: String) -> Int {
    let second = Array(b)
    var row = Array(0...second.count)
    for (i, letter) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in second.indices {
            let change = diagonal + (letter == second[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(change, row[j + 1] + 1, row[j] + 1)
        }
    }
    return row[second.count]
}
