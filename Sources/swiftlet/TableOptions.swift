import ArgumentParser
import Training

/// The options of a command's table as ArgumentParser knows them: those of one part of the help.
///
/// ArgumentParser finds a type's options by reflection and makes its values by decoding. Both are answered from the
/// table here, so that its help, its shell completion and its suggestions have the table's options without a property
/// for each. Values stay text; the table's readers judge them.
struct TableOptions<Settings: OptionSettings, let section: Int>: ParsableArguments, CustomReflectable {
    /// What was given, in the table's order; an option that stands there twice is here twice.
    private(set) var given: [(name: String, text: String)] = []

    init() {}

    /// The defaults with what was given.
    /// - Throws: as `OptionSettings.apply`.
    func settings() throws -> Settings {
        var settings = Settings()
        try settings.apply(given)
        return settings
    }

    private static var rows: [CommandOption<Settings>] { Settings.options.filter { $0.section == section } }

    var customMirror: Mirror {
        Mirror(self, children: Self.rows.map { (label: $0.name, value: $0.argument) as Mirror.Child })
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        for row in Self.rows {
            let key = Key(stringValue: row.name)
            if row.form.placeholder == nil {
                if try values.decodeIfPresent(Bool.self, forKey: key) ?? false { given.append((row.name, "true")) }
            } else {
                given += (try values.decodeIfPresent([String].self, forKey: key) ?? []).map { (row.name, $0) }
            }
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

extension CommandOption {
    /// The option as a property of a command would declare it. Values may begin with a dash.
    fileprivate var argument: Any {
        let text = [help, fallback.map { "(default: \($0))" }].compactMap { $0 }.joined(separator: " ")
        let shown = ArgumentHelp(
            "\(text)", valueName: form.placeholder, visibility: successor == nil ? .default : .private)
        if form.placeholder == nil { return Flag<Bool>(wrappedValue: false, name: .customLong(name), help: shown) }
        let completion: CompletionKind? = form.isPath ? .file() : form.words.isEmpty ? nil : .list(form.words)
        return Option<[String]>(
            wrappedValue: [], name: .customLong(name), parsing: .unconditionalSingleValue, help: shown,
            completion: completion)
    }
}
