/// How the text of an option becomes a value and a value becomes text again, with the range that the value must be in.
///
/// Every whole number and every other number that any command takes goes through `whole` or `real`: nothing out of its
/// range reaches the arithmetic behind it.
package struct OptionValue<Value>: Sendable {
    /// What stands for the value in `--help`, such as `n`; nil for a flag, which has none.
    package var placeholder: String?
    /// What a message says that was expected.
    package var expected: String
    /// The words that are possible, where only words are.
    package var words: [String] = []
    /// Whether a configuration file may write 1_000 for 1000.
    package var isNumber = false
    /// Whether it names a file or a directory.
    package var isPath = false
    /// The value of a text, or nil for a text that is none.
    package var read: @Sendable (String) -> Value?
    /// The text of a value, or nil where there is no value.
    package var write: @Sendable (Value) -> String?
}

extension OptionValue where Value: FixedWidthInteger & Sendable {
    /// A whole number in a range.
    package static func whole(_ range: ClosedRange<Value>) -> OptionValue {
        OptionValue(
            placeholder: "n", expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            isNumber: true,
            read: { text in Value(text).flatMap { range.contains($0) ? $0 : nil } }, write: { "\($0)" })
    }
}

extension OptionValue where Value == Double {
    /// A finite number in a range; without an upper end where that is the largest there is.
    package static func real(_ range: ClosedRange<Double>) -> OptionValue {
        let end = range.upperBound == .greatestFiniteMagnitude ? ", \(range.lowerBound) or more" : nil
        return OptionValue(
            placeholder: "x", expected: "a number" + (end ?? " from \(range.lowerBound) to \(range.upperBound)"),
            isNumber: true, read: { text in Double(text).flatMap { range.contains($0) ? $0 : nil } }, write: { "\($0)" }
        )
    }
}

extension OptionValue where Value == String {
    /// A path or a pattern of paths.
    package static var path: OptionValue {
        OptionValue(
            placeholder: "path", expected: "a path", isPath: true, read: { $0.isEmpty ? nil : $0 }, write: { $0 })
    }

    /// Any text, the empty one included.
    package static var text: OptionValue {
        OptionValue(placeholder: "text", expected: "a text", read: { $0 }, write: { $0 })
    }
}

extension OptionValue where Value == Bool {
    /// Given or not; `true` or `false` in a configuration file.
    package static var flag: OptionValue {
        OptionValue(placeholder: nil, expected: "true or false", read: { Bool($0) }, write: { "\($0)" })
    }

    /// A flag whose presence means false.
    package static var inverseFlag: OptionValue {
        OptionValue(placeholder: nil, expected: "true or false", read: { Bool($0).map { !$0 } }, write: { "\(!$0)" })
    }
}

extension OptionValue where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
    /// One of a few words.
    package static var word: OptionValue {
        let words = Value.allCases.map(\.rawValue)
        return OptionValue(
            placeholder: words.joined(separator: "|"), expected: words.joined(separator: ", "), words: words,
            read: { Value(rawValue: $0) }, write: { $0.rawValue })
    }
}

extension OptionValue {
    /// Another kind of value, or none: `word` stands for none where there is one, and otherwise only leaving the option
    /// out does.
    package static func optional<Wrapped: Sendable>(
        _ value: OptionValue<Wrapped>, or word: String? = nil
    ) -> OptionValue where Value == Wrapped? {
        OptionValue(
            placeholder: [word, value.placeholder].compactMap { $0 }.joined(separator: "|"),
            expected: [word, value.expected].compactMap { $0 }.joined(separator: value.words.isEmpty ? " or " : ", "),
            words: value.words.isEmpty ? [] : [word].compactMap { $0 } + value.words, isNumber: value.isNumber,
            isPath: value.isPath,
            read: { text in text == word ? .some(nil) : value.read(text).map { .some($0) } },
            write: { $0.map(value.write) ?? word })
    }
}
