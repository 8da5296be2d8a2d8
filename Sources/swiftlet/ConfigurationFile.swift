import Foundation
import Training
import Yams

/// `--config FILE`: options of `train` by the same names, in YAML. Flags win.
enum ConfigurationFile {
    /// The largest file that is read.
    private static let sizeLimit = 16 << 20

    /// Applies a file to a configuration.
    /// - Throws: `TrainingError`: 66 when it cannot be read, 65 when it is no mapping of options to values, 64 for an
    ///   unknown option or a bad value.
    static func apply(_ path: String, to configuration: inout TrainingConfiguration) throws {
        let text: String
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard data.count <= sizeLimit else {
                throw TrainingError(65, "\(path) has \(data.count) bytes, expected a configuration of at most \(sizeLimit)")
            }
            text = String(decoding: data, as: UTF8.self)
        } catch let error as TrainingError {
            throw error
        } catch {
            throw TrainingError(66, "cannot read --config \(path): \(error.localizedDescription)")
        }
        let root: Node?
        do {
            root = try compose(yaml: text)
        } catch {
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
            throw TrainingError(65, "\(path) is not YAML: \(reason)")
        }
        guard let root else { return }
        guard let mapping = root.mapping else {
            throw TrainingError(65, "\(path) must be a mapping such as 'layers: 6', one option a line")
        }
        for (key, value) in mapping {
            guard let name = key.string, let scalar = value.scalar else {
                throw TrainingError(65, "\(path): \(key.string ?? "a key") must have one value, expected 'option: value'")
            }
            try configuration.set(name, plain(scalar.string), source: path)
        }
    }

    /// YAML allows 1_000 for 1000.
    private static func plain(_ text: String) -> String {
        let digits = text.replacingOccurrences(of: "_", with: "")
        return Double(digits) != nil ? digits : text
    }
}
