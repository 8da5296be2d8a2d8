import Foundation
import TestSupport
import Testing
import Training

extension EndToEnd {
    /// Every option with a number, of every command, at the ends of what a number can be: an error with its code and one
    /// line that names the option, or a right run; never a signal, never a hang.
    @Suite(.serialized) struct OptionValuesTests {
        static let values = ["0", "-1", "2147483648", "4611686018427387904", "9223372036854775807"]

        private static func numbers<Settings: OptionSettings>(of _: Settings.Type) -> [String] {
            Settings.options.filter(\.form.isNumber).map { "\(Settings.command) \($0.name)" }
        }

        /// The tables' own; those of `tokenize` by hand.
        static let options =
            numbers(of: TrainingConfiguration.self) + numbers(of: ModelEvaluation.Options.self)
            + numbers(of: TextGeneration.Options.self) + numbers(of: Benchmark.Options.self)
            + ["tokenize vocab-size", "tokenize val-fraction"]

        /// A run of three steps that a test's model comes from.
        private func workspace(_ command: String) throws -> Workspace {
            let workspace = try Workspace()
            if ["evaluate", "generate"].contains(command) {
                #expect(try workspace.train("run", ["--steps", "3", "--warmup-steps", "1"]).status == 0)
            }
            return workspace
        }

        private func arguments(_ workspace: Workspace, _ command: String, _ option: [String]) -> [String] {
            switch command {
            case "train":
                // A run that goes on for ever is a right one, but no test.
                let stop = option[0] == "--stop-after" ? [] : ["--stop-after", "1"]
                return workspace.trainArguments("run", ["--steps", "2", "--warmup-steps", "1"] + stop + option)
            case "evaluate": return ["evaluate", "--checkpoint", "run", "--data", "data/val_*.bin"] + option
            case "generate": return ["generate", "--checkpoint", "run", "--prompt", "let"] + option
            case "tokenize": return ["tokenize", "--input", "text.txt", "--output", "out"] + option
            default: return [command] + option
            }
        }

        @Test("T2: every number of every command is refused by name or right", arguments: options)
        func everyNumber(option: String) throws {
            let words = option.split(separator: " ").map(String.init)
            let workspace = try workspace(words[0])
            try workspace.write("text.txt", Workspace.text.utf8)
            for value in Self.values {
                try? FileManager.default.removeItem(atPath: words[0] == "train" ? workspace.file("run") : "")
                let outcome = try workspace.run(arguments(workspace, words[0], ["--" + words[1], value]))
                #expect([0, 64, 65, 75, 79].contains(outcome.status), "\(value): \(outcome)")
                if outcome.status == 64 {
                    #expect(outcome.errorLines.count == 1, "\(value): \(outcome)")
                    let says = outcome.errorLines.first?.contains("--" + words[1]) == true
                    #expect(says, "\(value): \(outcome)")
                }
            }
        }

        /// Each option's own row counts: names that exist in two commands are two options.
        @Test func theCommandsHaveTheTablesOptions() throws {
            let workspace = try Workspace()
            func check<Settings: OptionSettings>(_: Settings.Type) throws {
                let help = try workspace.run([Settings.command, "--help"]).standardOutput
                for row in Settings.options {
                    let isShown = help.contains("  --\(row.name) ") || help.contains("  --\(row.name)\n")
                    #expect(isShown == (row.successor == nil), "--\(row.name)")
                }
                for title in Settings.sections { #expect(help.contains("\n\(title.uppercased()):\n")) }
            }
            try check(TrainingConfiguration.self)
            try check(ModelEvaluation.Options.self)
            try check(TextGeneration.Options.self)
            try check(Benchmark.Options.self)
        }

        @Test("W1: a value may begin with a dash")
        func aValueMayBeginWithADash() throws {
            let workspace = try workspace("generate")
            let generate = ["generate", "--checkpoint", "run", "--max-tokens", "3"]
            let item = try workspace.run(generate + ["--prompt", "- item"])
            #expect(item.status == 0, "\(item)")
            #expect(item.standardOutput.hasPrefix("- item"))
            for (arguments, says) in [
                (
                    generate + ["--prompt", "x", "--temperature", "-1"],
                    "--temperature is '-1', expected a number, 0.0 or"
                ),
                (workspace.trainArguments("new") + ["--keep=-1"], "--keep is '-1', expected a whole number from 1"),
                (workspace.trainArguments("new") + ["--keep", "-1"], "--keep is '-1', expected a whole number from 1"),
            ] {
                let outcome = try workspace.run(arguments)
                #expect(outcome.status == 64, "\(outcome)")
                #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
            }
        }

        @Test(
            "S14: an option that stands there twice is refused, by every command",
            arguments: [
                ["train", "--run-dir", "r", "--train-data", "a", "--train-data", "b"],
                ["train", "--run-dir=r", "--train-data=a", "--run-dir=r"], ["train", "--config", "a", "--config", "b"],
                ["evaluate", "--checkpoint", "a", "--data", "b", "--data", "c"],
                ["generate", "--checkpoint", "a", "--prompt", "b", "--prompt", "c"],
                ["bench", "--steps", "1", "--steps", "2"],
            ])
        func anOptionGivenTwice(arguments: [String]) throws {
            let outcome = try Workspace().run(arguments)
            #expect(outcome.status == 64, "\(outcome)")
            #expect(outcome.errorLines.count == 1)
            #expect(outcome.errorLines.first?.contains("is given more than once") == true, "\(outcome)")
        }

        @Test("S2: old names are refused with the new ones") func oldNames() throws {
            let workspace = try Workspace()
            let train = try workspace.train("run", ["--eval-batches", "20"])
            #expect(train.status == 64 && train.standardError.contains("now --eval-sequences"), "\(train)")
            let evaluate = try workspace.run(["evaluate", "--checkpoint", "run", "--data", "d", "--windows", "3"])
            #expect(evaluate.status == 64 && evaluate.standardError.contains("now --sequences"), "\(evaluate)")
        }
    }
}
