internal import Basics
public import SwiftletTokenizer
internal import Training

/// Everything that a run can be told, with its defaults: the options of `swiftlet train`, by their names.
///
/// The options that most programs set are properties too (`Configuration+Properties.swift`). An option that was set counts
/// as given: at a resume those that were not take the checkpoint's values.
public struct Configuration: Sendable, Equatable {
    /// What the trainer takes. Its values are in their ranges once `checked()` has passed.
    var options = TrainingConfiguration()
    /// Texts of properties that are no paths, by their options' names.
    var unreadable: [String: String] = [:]

    /// The defaults.
    public init() {}

    /// - Parameter options: values by the names of options without dashes, as they stand on a command line.
    /// - Throws: exit code 64 for a name or a value that is none.
    public init(_ options: [String: String]) throws(SwiftletError) {
        for (name, value) in options.sorted(by: { $0.key < $1.key }) { try set(name, to: value) }
    }

    /// Sets an option.
    /// - Parameters:
    ///   - name: without dashes, such as `learning-rate`.
    ///   - value: as it stands on a command line; `true` for a flag.
    /// - Throws: exit code 64 for a name or a value that is none, with what was expected.
    public mutating func set(_ name: String, to value: String) throws(SwiftletError) {
        do throws(ExitError) {
            try options.set(name, value)
            unreadable[name] = nil
        } catch {
            throw SwiftletError(error.description, exitCode: error.exitCode.rawValue)
        }
    }

    /// The value of an option as text; nil where it has none, or there is no such option.
    public subscript(name: String) -> String? { TrainingConfiguration.option(name)?.write(options) }

    /// The names of all options, in the order of the help.
    public static var names: [String] { TrainingConfiguration.options.filter { $0.successor == nil }.map(\.name) }

    /// A sentence about an option; nil where there is none of that name.
    public static func help(for name: String) -> String? { TrainingConfiguration.option(name)?.help }

    /// The options with every value in its range, for properties were set without a look at it.
    func checked() throws -> TrainingConfiguration {
        if let (name, text) = unreadable.sorted(by: { $0.key < $1.key }).first {
            throw ExitError(.usage, "\(name) is '\(printable(text))', expected a path")
        }
        var copy = options
        for row in TrainingConfiguration.options {
            guard let value = row.write(options), options.isGiven(row), !row.read(&copy, value) else { continue }
            throw ExitError(.usage, "\(row.name) is '\(value)', expected \(row.form.expected)")
        }
        return options
    }
}
