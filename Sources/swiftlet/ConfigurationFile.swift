import Basics
import Foundation
import Training
import Yams

/// `--config FILE`: options of `train` by the same names, in YAML. Flags win.
enum ConfigurationFile {
    /// The largest file that is read.
    private static let sizeLimit = 1 << 20

    /// Applies a file to a configuration.
    /// - Throws: `TrainingError`: 66 when it cannot be read, 65 when it is no mapping of options to values, 64 for an
    ///   unknown option or a bad value.
    static func apply(_ path: String, to configuration: inout TrainingConfiguration) throws {
        let root: Node?
        do {
            root = try compose(yaml: try text(of: path))
        } catch let error as TrainingError {
            throw error
        } catch YamlError.duplicatedKeysInMapping(let keys, _) {
            let names = keys.map { "\($0)" }.joined(separator: ", ")
            throw TrainingError(.badInput, "\(path): \(names) stands there more than once; give each option once")
        } catch {
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
            throw TrainingError(.badInput, "\(path) is not YAML: \(reason)")
        }
        guard let root else { return }
        guard let mapping = root.mapping else {
            throw TrainingError(.badInput, "\(path) must be a mapping such as 'layers: 6', one option a line")
        }
        for (key, value) in mapping {
            guard let name = key.string, let scalar = value.scalar else {
                throw TrainingError(
                    .badInput, "\(path): \(key.string ?? "a key") must have one value, expected 'option: value'")
            }
            let isPlain = scalar.style == .plain || scalar.style == .any
            guard !(isPlain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)) else {
                throw TrainingError(.usage, "\(path): \(name) has no value; give one, or leave the line out")
            }
            // YAML allows 1_000 for 1000; a name stays as it is.
            let isNumber = isPlain && TrainingConfiguration.option(name)?.form.isNumber == true
            let text = isNumber ? scalar.string.replacingOccurrences(of: "_", with: "") : scalar.string
            try configuration.set(name, text, source: path)
        }
    }

    private static func text(of path: String) throws(TrainingError) -> String {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw TrainingError(.missingInput, "--config \(path) is not there; give a YAML file")
        }
        guard !isDirectory.boolValue else {
            throw TrainingError(.missingInput, "--config \(path) is a directory; give a YAML file")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw TrainingError(.missingInput, "--config \(path) cannot be read; check its permissions")
        }
        guard data.count <= sizeLimit else {
            throw TrainingError(
                .badInput, "\(path) has \(data.count) bytes, expected a configuration of at most \(sizeLimit)")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw TrainingError(.badInput, "\(path) is not UTF-8; save it as UTF-8")
        }
        return text.hasPrefix("\u{FEFF}") ? String(text.unicodeScalars.dropFirst()) : text
    }
}
