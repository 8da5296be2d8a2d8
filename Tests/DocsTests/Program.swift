import Foundation
import TestSupport

/// The executable, a folder with a small corpus of its making, and a run of six steps.
enum Program {
    static let executable = Result { try BuildProducts.executable("swiftlet") }

    /// The folder with everything; it goes away with the process.
    static let home: Result<String, any Error> = Result {
        let home = NSTemporaryDirectory() + "swiftlet-docs-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(atPath: (try? Program.home.get()) ?? "") }
        let words = ["a", "list", "of", "words", "that", "come", "again", "and", "more", "often", "than", "not"]
        let text = (0..<20_000).map { words[($0 * $0 + $0 / 7) % words.count] }.joined(separator: " ")
        try Data(text.utf8).write(to: URL(fileURLWithPath: home + "/text.txt"))
        let outcome = try Subprocess.run(
            executable.get(), ["tokenize", "--input", "text.txt", "--output", "data", "--vocab-size", "280"],
            workingDirectory: home)
        guard outcome.status == 0 else { throw Failed(description: "\(outcome)") }
        return home
    }

    /// Options of a run on that corpus.
    static func trainArguments(_ run: String, steps: Int, checkpointInterval: Int = 3) -> [String] {
        [
            "train", "--train-data", "data/train_*.bin", "--val-data", "data/val_*.bin", "--run-dir", run,
            "--layers", "1", "--heads", "2", "--embedding-size", "32", "--context-length", "16", "--micro-batch", "2",
            "--global-batch", "4", "--steps", "\(steps)", "--warmup-steps", "1", "--threads", "1", "--precision",
            "fp32",
            "--log-interval", "1", "--eval-interval", "3", "--checkpoint-interval",
            "\(checkpointInterval)",
        ]
    }

    /// The run directory of six steps with two evaluations.
    static let run: Result<String, any Error> = Result {
        let outcome = try Subprocess.run(
            executable.get(), trainArguments("run", steps: 6), workingDirectory: home.get(), timeout: 120)
        guard outcome.status == 0 else { throw Failed(description: "\(outcome)") }
        return try home.get() + "/run"
    }

    static func run(_ arguments: [String], timeout: Double = 120) throws -> Subprocess.Outcome {
        try Subprocess.run(executable.get(), arguments, workingDirectory: home.get(), timeout: timeout)
    }

    /// The subcommands, as the help lists them.
    static let subcommands: Result<[String], any Error> = Result {
        let help = try run(["--help"]).standardOutput
        let list = help.components(separatedBy: "SUBCOMMANDS:\n").last ?? ""
        return list.split(separator: "\n").filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    /// The options of a subcommand by their names without dashes, as its help lists them.
    static func options(of subcommand: String) throws -> Set<String> {
        let help = try run([subcommand, "--help"]).standardOutput
        let names = help.matches(of: /(?:^|\s|\[)--([a-z][a-z0-9-]*)/).map { String($0.1) }
        return Set(names)
    }

    static let allOptions: Result<[String: Set<String>], any Error> = Result {
        var found: [String: Set<String>] = [:]
        for name in try subcommands.get() { found[name] = try options(of: name) }
        return found
    }
}

/// The executable did not do what the other checks stand on.
struct Failed: Error, CustomStringConvertible { let description: String }
