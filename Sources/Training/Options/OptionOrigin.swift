/// Where the value of an option comes from; its text is what `--print-config` says.
package enum OptionOrigin: Equatable, Sendable, CustomStringConvertible {
    /// Nobody chose it.
    case standard
    case flag
    /// A variable of the environment, by its name.
    case environment(String)
    /// A file, printable, and the line where that is known.
    case file(String, line: Int?)
    /// A recipe, by its word.
    case recipe(String)
    /// The model of `--init-from`.
    case model
    /// The checkpoint that a run goes on from, by its name.
    case checkpoint(String)

    package var description: String {
        switch self {
        case .standard: "default"
        case .flag: "flag"
        case .environment(let name): name
        case .file(let path, let line): path + (line.map { ":\($0)" } ?? "")
        case .recipe(let word): "recipe \(word)"
        case .model: "model of --init-from"
        case .checkpoint(let name): name
        }
    }
}
