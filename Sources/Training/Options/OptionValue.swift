import Basics

/// What can be said of an option's values without knowing their type.
package struct OptionForm: Sendable {
    /// What stands for the value in `--help`, such as `n`; nil for a flag, which has none.
    package var placeholder: String?
    /// What a message says that was expected.
    package var expected: String
    /// The words that are possible, where only words are.
    package var words: [String] = []
    /// Whether it is a number, which a configuration file may write as 1_000.
    package var isNumber = false
    /// Whether it names a file or a directory.
    package var isPath = false
}

/// How the text of an option becomes a value and a value becomes text again, with the range that the value must be in.
///
/// Every whole number and every other number that any command takes goes through `whole` or `real`: nothing out of its
/// range reaches the arithmetic behind it.
package struct OptionValue<Value>: Sendable {
    package var form: OptionForm
    /// The value of a text, or nil for a text that is none.
    package var read: @Sendable (String) -> Value?
    /// The text of a value, or nil where there is no value.
    package var write: @Sendable (Value) -> String?
}

extension OptionValue where Value: FixedWidthInteger & Sendable {
    /// A whole number in a range.
    package static func whole(_ range: ClosedRange<Value>) -> OptionValue {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return OptionValue(
            form: OptionForm(placeholder: "n", expected: expected, isNumber: true),
            read: { text in Value(text).flatMap { range.contains($0) ? $0 : nil } }, write: { "\($0)" })
    }
}

extension OptionValue where Value == Double {
    /// A finite number in a range; without an upper end where that is the largest there is.
    package static func real(_ range: ClosedRange<Double>) -> OptionValue {
        let isOpen = range.upperBound == .greatestFiniteMagnitude
        let expected = isOpen ? ", \(range.lowerBound) or more" : " from \(range.lowerBound) to \(range.upperBound)"
        return OptionValue(
            form: OptionForm(placeholder: "x", expected: "a number" + expected, isNumber: true),
            read: { text in Double(text).flatMap { range.contains($0) ? $0 : nil } }, write: { "\($0)" })
    }
}

extension OptionValue where Value == FilePath {
    /// A path or a pattern of paths.
    package static var path: OptionValue {
        let expected = "a path, in which only a ~ alone or before / stands for a home directory, yours"
        return OptionValue(
            form: OptionForm(placeholder: "path", expected: expected, isPath: true),
            read: { try? FilePath(argument: $0) }, write: { CommandLineText.decoding($0.bytes) })
    }
}

extension OptionValue where Value == String {
    /// Any text, the empty one included.
    package static var text: OptionValue {
        OptionValue(form: OptionForm(placeholder: "text", expected: "a text"), read: { $0 }, write: { $0 })
    }
}

extension OptionValue where Value == Bool {
    /// A flag, which means `true` where it is given; in a configuration file the word tells.
    package static var flag: OptionValue {
        OptionValue(form: OptionForm(expected: "true or false"), read: { Bool($0) }, write: { "\($0)" })
    }

    /// A flag for the opposite of the property.
    package static var inverseFlag: OptionValue {
        OptionValue(form: OptionForm(expected: "true or false"), read: { Bool($0).map { !$0 } }, write: { "\(!$0)" })
    }
}

extension OptionValue where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
    /// One of a few words.
    package static var word: OptionValue {
        let words = Value.allCases.map(\.rawValue)
        let form = OptionForm(
            placeholder: words.joined(separator: "|"), expected: words.joined(separator: ", "), words: words)
        return OptionValue(form: form, read: { Value(rawValue: $0) }, write: { $0.rawValue })
    }
}

extension OptionValue {
    /// Another kind of value, or none: `word` stands for none where there is one, and otherwise only leaving the option
    /// out does.
    package static func optional<Wrapped: Sendable>(
        _ value: OptionValue<Wrapped>, or word: String? = nil
    ) -> OptionValue where Value == Wrapped? {
        var form = value.form
        if let word {
            form.placeholder = [word, form.placeholder ?? ""].joined(separator: "|")
            form.expected = [word, form.expected].joined(separator: form.words.isEmpty ? " or " : ", ")
            if !form.words.isEmpty { form.words.insert(word, at: 0) }
        }
        return OptionValue(
            form: form, read: { text in text == word ? .some(nil) : value.read(text).map { .some($0) } },
            write: { $0.map(value.write) ?? word })
    }
}
