import Basics
import Training
import Yams

/// `--config FILE`: options of `train` by the same names, in YAML. Flags win.
enum ConfigurationFile {
    /// Applies a file to a configuration.
    /// - Throws: `FileSystemError` when it cannot be read (66, 65); `ExitError`: 65 when it is no mapping of options to
    ///   values, 64 for an unknown option or a bad value.
    static func apply(_ file: String, to configuration: inout TrainingConfiguration) throws {
        let input = try InputFile(FilePath(argument: file))
        guard let text = String(validating: try input.contents(limit: 1 << 20), as: UTF8.self) else {
            throw ExitError(.badInput, "\(input.path.shown) is not UTF-8; save it as UTF-8")
        }
        let path = printable(file)
        let root: Node?
        do {
            root = try compose(yaml: text.hasPrefix("\u{FEFF}") ? String(text.unicodeScalars.dropFirst()) : text)
        } catch YamlError.duplicatedKeysInMapping(let keys, _) {
            let names = keys.map { "\($0)" }.joined(separator: ", ")
            throw ExitError(.badInput, "\(path): \(names) stands there more than once; give each option once")
        } catch {
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
            throw ExitError(.badInput, "\(path) is not YAML: \(reason)")
        }
        guard let root else { return }
        guard let mapping = root.mapping else {
            throw ExitError(.badInput, "\(path) must be a mapping such as 'layers: 6', one option a line")
        }
        for (key, value) in mapping {
            guard let name = key.string, let scalar = value.scalar else {
                throw ExitError(
                    .badInput, "\(path): \(key.string ?? "a key") must have one value, expected 'option: value'")
            }
            let isPlain = scalar.style == .plain || scalar.style == .any
            guard !(isPlain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)) else {
                throw ExitError(.usage, "\(path): \(name) has no value; give one, or leave the line out")
            }
            // YAML allows 1_000 for 1000; a name stays as it is.
            let isNumber = isPlain && TrainingConfiguration.option(name)?.form.isNumber == true
            try configuration.set(name, isNumber ? scalar.string.filter { $0 != "_" } : scalar.string, source: path)
        }
    }
}
