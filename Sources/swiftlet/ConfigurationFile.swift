import Basics
import Training
import Yams

/// `--config FILE`: options of `train` by the same names, in YAML, side by side or in sections. Environment and flags win.
struct ConfigurationFile {
    /// The file's name, for messages.
    private let path: String
    /// The options that were read.
    private var names: Set<String> = []

    /// Takes the options of a file.
    /// - Throws: `FileSystemError` when it cannot be read (66, 65); `ExitError`: 65 when it is no mapping of options to
    ///   values, 64 for an unknown option or section, an option in another's section, or a bad value.
    static func apply(_ file: String, to given: inout GivenOptions<TrainingConfiguration>) throws {
        let input = try InputFile(FilePath(argument: file))
        guard let text = String(validating: try input.contents(limit: 1 << 20), as: UTF8.self) else {
            throw ExitError(.badInput, "\(input.path.shown) is not UTF-8; save it as UTF-8")
        }
        var reading = ConfigurationFile(path: printable(file))
        for (key, value) in try reading.entries(text) { try reading.take(key, value, &given) }
    }

    private init(path: String) { self.path = path }

    /// What stands at the top of the file.
    private func entries(_ text: String) throws -> [(Node, Node)] {
        let root: Node?
        do {
            root = try compose(yaml: text.hasPrefix("\u{FEFF}") ? String(text.unicodeScalars.dropFirst()) : text)
        } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
            throw repeated(keys.map { "\($0)" }.joined(separator: ", "), context.mark.line)
        } catch {
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
            throw ExitError(.badInput, "\(path) is not YAML: \(reason)")
        }
        guard let root else { return [] }
        guard let mapping = root.mapping else {
            throw ExitError(.badInput, "\(path) must be a mapping such as 'layers: 6', one option a line")
        }
        return mapping.map { ($0, $1) }
    }

    /// Takes an option, or a section with the options in it.
    private mutating func take(
        _ key: Node, _ value: Node, _ given: inout GivenOptions<TrainingConfiguration>
    ) throws {
        let name = try name(of: key)
        let section = TrainingConfiguration.sectionNames.firstIndex(of: name)
        // A section in which every line is a comment.
        if section != nil, value.isNothing { return }
        guard section == nil || value.mapping != nil else {
            throw ExitError(.badInput, "\(place(key)): \(name) is a section; give its options below it, further in")
        }
        guard let options = value.mapping, TrainingConfiguration.option(name) == nil else {
            return try takeOption(name, key, value, &given)
        }
        guard let section else {
            let names = TrainingConfiguration.sectionNames
            throw ExitError(
                .usage,
                "\(place(key)): \(printable(name)) is no section; did you mean \(nearest(name, of: names))? "
                    + "There are \(names.joined(separator: ", "))")
        }
        for (key, value) in options {
            let option = try self.name(of: key)
            if let row = TrainingConfiguration.option(option), row.section != section, row.successor == nil {
                throw ExitError(
                    .usage,
                    "\(place(key)): \(option) stands in section \(name), it belongs to "
                        + "\(TrainingConfiguration.sectionNames[row.section])")
            }
            try takeOption(option, key, value, &given)
        }
    }

    private mutating func takeOption(
        _ name: String, _ key: Node, _ value: Node, _ given: inout GivenOptions<TrainingConfiguration>
    ) throws {
        guard let scalar = value.scalar else {
            throw ExitError(
                .badInput, "\(place(key)): \(printable(name)) must have one value, expected 'option: value'")
        }
        guard names.insert(name).inserted else { throw repeated(name, key.mark?.line) }
        guard !value.isNothing else {
            throw ExitError(
                .usage, "\(place(key)): \(printable(name)) has no value; give one, or leave the line out")
        }
        // YAML allows 1_000 for 1000; a name stays as it is.
        let isNumber = value.isPlain && TrainingConfiguration.option(name)?.form.isNumber == true
        let text = isNumber ? scalar.string.filter { $0 != "_" } : scalar.string
        try given.take(name, text, file: path, line: key.mark?.line)
    }

    /// The name that a key has; `learning_rate` is `learning-rate`.
    private func name(of key: Node) throws(ExitError) -> String {
        guard let name = key.scalar?.string else {
            throw ExitError(.badInput, "\(place(key)): a key must have one value, expected 'option: value'")
        }
        guard name != "<<" else {
            throw ExitError(
                .badInput, "\(place(key)): << would merge mappings, which is not done; write the options out")
        }
        let dashed = name.replacing("_", with: "-")
        return TrainingConfiguration.option(dashed) == nil ? name : dashed
    }

    private func repeated(_ names: String, _ line: Int?) -> ExitError {
        let place = path + (line.map { ":\($0)" } ?? "")
        return ExitError(
            .badInput, "\(place): \(printable(names)) stands there more than once; give each option once")
    }

    /// File and line of a key.
    private func place(_ key: Node) -> String { path + (key.mark.map { ":\($0.line)" } ?? "") }
}

extension Node {
    /// Whether it is a text without quotes.
    fileprivate var isPlain: Bool { scalar.map { $0.style == .plain || $0.style == .any } ?? false }

    /// Whether it is one of YAML's words for no value.
    fileprivate var isNothing: Bool {
        isPlain && ["", "~", "null", "Null", "NULL"].contains(scalar?.string)
    }
}
