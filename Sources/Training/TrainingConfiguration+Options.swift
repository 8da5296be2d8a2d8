import DataParallel
import Kernels
import Optimization

// The one table of options: the command line, the configuration file, the effective configuration that a run prints
// and keeps, the comparison between ranks and the one at resume all read it.

extension TrainingConfiguration {
    /// An option: its name, how its value is read and how it is written.
    package struct Option: Sendable {
        /// What a difference between the run that saved a checkpoint and the one that resumes it means.
        package enum OnResume: Sendable {
            /// Another run: an error.
            case mustMatch
            /// The same run going on otherwise: a warning.
            case mayChange
            /// Nothing to do with what is computed.
            case free
        }

        package let name: String
        package let onResume: OnResume
        package let expected: String
        let read: @Sendable (inout TrainingConfiguration, String) -> Bool
        let write: @Sendable (TrainingConfiguration) -> String?
    }

    /// Sets an option from its text.
    /// - Parameter source: for the message: `--` for a flag, or the file.
    /// - Throws: `TrainingError` (64 for a flag or an unknown name or a bad value).
    public mutating func set(_ name: String, _ text: String, source: String = "--") throws(TrainingError) {
        let shown = source == "--" ? "--\(name)" : "\(source): \(name)"
        guard let option = Self.options.first(where: { $0.name == name }) else {
            let near = Self.options.map(\.name).min { distance($0, name) < distance($1, name) } ?? "steps"
            throw .usage("\(shown) is not an option of train; did you mean \(near)?")
        }
        guard option.read(&self, text) else { throw .usage("\(shown) is '\(text)', expected \(option.expected)") }
        given.insert(name)
    }

    /// Every option that has a value, in the table's order.
    public var effective: [(name: String, value: String)] {
        Self.options.compactMap { option in option.write(self).map { (option.name, $0) } }
    }

    /// The options that define what is computed: what a checkpoint keeps and what ranks must agree on.
    public var defining: [(name: String, value: String)] {
        Self.options.filter { $0.onResume != .free }.compactMap { option in option.write(self).map { (option.name, $0) }
        }
    }

    /// The options that all ranks must have alike: those that define what is computed or when ranks meet. Paths may
    /// differ from host to host; what they lead to is compared by its contents.
    var shared: [(name: String, value: String)] {
        let own: Set = ["train-data", "val-data", "run-dir", "init-from", "resume", "trace", "progress"]
        return effective.filter { !own.contains($0.name) }
    }

    static func rule(for name: String) -> Option.OnResume? { options.first { $0.name == name }?.onResume }

    package static let options: [Option] = [
        text("train-data", .free, \.trainData),
        optionalText("val-data", .free, \.validationData),
        text("run-dir", .free, \.runDirectory),
        number("layers", .mustMatch, \.layers),
        number("heads", .mustMatch, \.heads),
        number("embedding-size", .mustMatch, \.embeddingSize),
        number("context-length", .mustMatch, \.contextLength),
        optionalNumber("vocab-size", .mustMatch, \.vocabularySize),
        optionalText("init-from", .free, \.initFrom),
        number("micro-batch", .mayChange, \.microBatch),
        number("global-batch", .mustMatch, \.globalBatch),
        // The schedule has a comparison of its own.
        number("steps", .free, \.steps),
        number("warmup-steps", .free, \.warmupSteps),
        real("learning-rate", .free, \.learningRate),
        real("min-learning-rate", .free, \.minLearningRate),
        word("schedule", .free, \.schedule),
        optionalNumber("decay-steps", .free, \.decaySteps),
        real("weight-decay", .mayChange, \.weightDecay),
        real("beta1", .mayChange, \.beta1),
        real("beta2", .mayChange, \.beta2),
        real("epsilon", .mayChange, \.epsilon),
        real("grad-clip", .mayChange, \.gradClip),
        automatic("precision", .free, \.precision, Precision.allCases.map(\.rawValue), Precision.init(rawValue:)) {
            $0.rawValue
        },
        word("reduction", .mayChange, \.reduction),
        word("overlap", .free, \.overlap),
        automatic("threads", .free, \.threads, ["a whole number"], { Int($0) }) { "\($0)" },
        number("log-interval", .free, \.logInterval),
        number("eval-interval", .free, \.evalInterval),
        number("eval-batches", .free, \.evalBatches),
        number("checkpoint-interval", .free, \.checkpointInterval),
        number("keep", .free, \.keep),
        number("fingerprint-interval", .free, \.fingerprintInterval),
        optionalNumber("stop-after", .free, \.stopAfter),
        Option(
            name: "resume", onResume: .free, expected: "auto, never or a checkpoint directory",
            read: { configuration, text in
                switch text {
                case "auto": configuration.resume = .auto
                case "never": configuration.resume = .never
                case "": return false
                default: configuration.resume = .path(text)
                }
                return true
            },
            write: { configuration in
                switch configuration.resume {
                case .auto: "auto"
                case .never: "never"
                case .path(let path): path
                }
            }),
        flag("extend-schedule", .free, \.extendSchedule),
        optionalNumber("rewarm", .free, \.rewarm),
        Option(
            name: "seed", onResume: .mustMatch, expected: "a whole number from 0 to \(UInt64.max)",
            read: { configuration, text in
                guard let value = UInt64(text) else { return false }
                configuration.seed = value
                return true
            },
            write: { "\($0.seed)" }),
        Option(
            name: "no-shuffle", onResume: .mustMatch, expected: "true or false",
            read: { configuration, text in
                guard let value = Bool(text) else { return false }
                configuration.shuffle = !value
                return true
            },
            write: { "\(!$0.shuffle)" }),
        flag("debug", .free, \.debug),
        optionalText("trace", .free, \.trace),
        flag("progress", .free, \.progress),
    ]
}

// Makers of table rows. A key path to a struct's own property can be shared between threads.
private typealias Path<Value> = WritableKeyPath<TrainingConfiguration, Value> & Sendable

private func row<Value>(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ expected: String, _ path: Path<Value>,
    _ parse: @escaping @Sendable (String) -> Value?, _ print: @escaping @Sendable (Value) -> String?
) -> TrainingConfiguration.Option {
    TrainingConfiguration.Option(
        name: name, onResume: rule, expected: expected,
        read: { configuration, text in
            guard let value = parse(text) else { return false }
            configuration[keyPath: path] = value
            return true
        },
        write: { print($0[keyPath: path]) })
}

private func text(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<String>
) -> TrainingConfiguration.Option { row(name, rule, "a text", path, { $0.isEmpty ? nil : $0 }, { $0 }) }

private func optionalText(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<String?>
) -> TrainingConfiguration.Option { row(name, rule, "a text", path, { $0.isEmpty ? nil : $0 }, { $0 }) }

private func number(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Int>
) -> TrainingConfiguration.Option { row(name, rule, "a whole number", path, { Int($0) }, { "\($0)" }) }

private func optionalNumber(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Int?>
) -> TrainingConfiguration.Option {
    row(name, rule, "a whole number", path, { text in Int(text).map { Int?.some($0) } }, { $0.map { "\($0)" } })
}

private func real(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Double>
) -> TrainingConfiguration.Option { row(name, rule, "a number", path, { Double($0) }, { "\($0)" }) }

private func flag(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Bool>
) -> TrainingConfiguration.Option { row(name, rule, "true or false", path, { Bool($0) }, { "\($0)" }) }

private func word<Value: RawRepresentable & CaseIterable & Sendable>(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Value>
) -> TrainingConfiguration.Option where Value.RawValue == String {
    row(
        name, rule, Value.allCases.map(\.rawValue).joined(separator: ", "), path, { Value(rawValue: $0) },
        { $0.rawValue })
}

private func automatic<Value: Sendable>(
    _ name: String, _ rule: TrainingConfiguration.Option.OnResume, _ path: Path<Value?>, _ words: [String],
    _ parse: @escaping @Sendable (String) -> Value?, _ print: @escaping @Sendable (Value) -> String
) -> TrainingConfiguration.Option {
    row(
        name, rule, (["auto"] + words).joined(separator: ", "), path,
        { text in text == "auto" ? Value??.some(nil) : parse(text).map { Value?.some($0) } },
        { $0.map(print) ?? "auto" })
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
