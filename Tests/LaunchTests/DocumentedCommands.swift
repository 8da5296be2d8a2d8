import Foundation
import TestSupport
import Testing

/// The command lines of the pages: each can be parsed by the script or program that it names.
@Suite struct DocumentedCommands {
    /// A command as a page shows it, without what it leaves out (`…`).
    struct Command: CustomStringConvertible, Sendable {
        let page: String
        let text: String
        var description: String { "\(page): \(text)" }
    }

    private static let pages =
        ["README.md", "CONTRIBUTING.md", "launch/local", "launch/hosts", "launch/restart", "launch/slurm"]
        + ((try? FileManager.default.contentsOfDirectory(atPath: LaunchTree.repository + "/docs")) ?? []).sorted().map {
            "docs/" + $0
        }

    static let all: [Command] = pages.flatMap { page -> [Command] in
        guard let text = try? String(contentsOfFile: LaunchTree.repository + "/" + page, encoding: .utf8) else {
            return []
        }
        // Lines of code, continued ones joined; words in backquotes; the examples at the head of a script.
        let blocks = text.replacing(#/ *\\\n */#, with: " ").split(separator: "\n").compactMap { line -> Substring? in
            line.firstMatch(of: /^(?:    |#     )(?=\S)(.*)/)?.1
        }
        let words = text.replacing("\n", with: " ").matches(of: /`([^`]+)`/).map(\.1)
        return (blocks + words).compactMap { code in
            // What stands behind three blanks is a remark.
            let command = code.split(separator: "   ").first.map(String.init) ?? ""
            let shown = command.replacing(#/ ?(…|\.\.\.)/#, with: "").replacing(/\[[^\]]*\] ?/, with: "")
            return shown.contains(/^(\.build\/release\/)?swiftlet \w|^launch\/\w+ .|^sbatch .*launch\/slurm|^make \w/)
                ? Command(page: page, text: shown) : nil
        }
    }

    @Test func thePagesHaveCommands() {
        for start in [
            "launch/local ", "launch/hosts ", "launch/restart ", "sbatch ", ".build/release/swiftlet ", "make ",
        ] {
            #expect(Self.all.contains { $0.text.hasPrefix(start) }, "\(start)")
        }
        #expect(Self.all.count > 30)
    }

    @Test(arguments: all) func canBeParsed(command: Command) throws {
        // The launch scripts are the real ones, up to the call of mpirun.
        let tree = try LaunchTree()
        try tree.write("checkout/hosts.txt", "localhost slots=1\n")
        if command.text.hasPrefix("make ") { return try expectTargets(command) }
        var text = command.text
        if text.hasPrefix("sbatch ") { text = "launch/slurm " + text.split(separator: "launch/slurm").last! }
        if text.hasPrefix("swiftlet ") { text = ".build/release/" + text }
        // The name of a script alone, or with the place of what follows.
        guard
            text.contains(
                /(local|slurm|hosts\.txt|swiftlet)\b.* (train|tokenize|evaluate|generate|inspect|bench|help)\b/)
        else { return }
        try tree.standIn("bin/scontrol", "echo Command=\(tree.checkout)/launch/slurm")
        let outcome = try tree.bash(
            text, environment: ["SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": tree.checkout, "SLURM_CPUS_ON_NODE": "1"])
        #expect(outcome.status == 0, "\(outcome)")
        let direct = try tree.calls("swiftlet").first?.arguments
        let underMPI = try tree.calls().first?.arguments.drop { !$0.hasSuffix("/.build/release/swiftlet") }.dropFirst()
        let arguments = try #require(direct ?? underMPI.map(Array.init), "\(outcome)")
        try expectOptions(arguments)
    }

    /// Every option is one that the subcommand's help lists.
    private func expectOptions(_ arguments: [String]) throws {
        guard let subcommand = arguments.first, subcommand != "help" else { return }
        let help = try Self.help(subcommand)
        for option in arguments.dropFirst() where option.hasPrefix("--") {
            let name = option.split(separator: "=")[0]
            #expect(help.contains(try Regex("(^|[ \\[/])\(name)([ /,\\]=]|$)").anchorsMatchLineEndings()), "\(name)")
        }
    }

    private static func help(_ subcommand: String) throws -> String {
        let outcome = try Subprocess.run(try BuildProducts.executable("swiftlet"), ["help", subcommand])
        try #require(outcome.status == 0, "\(outcome)")
        return outcome.standardOutput
    }

    /// `make NAME` is a target that the Makefile lists.
    private func expectTargets(_ command: Command) throws {
        let outcome = try Subprocess.run(
            "/usr/bin/env", ["make", "-s", "help"], workingDirectory: LaunchTree.repository)
        for word in command.text.split(separator: " ").dropFirst() where !word.contains("=") {
            guard let target = word.wholeMatch(of: /[a-z-]+/)?.0 else { break }
            #expect(outcome.standardOutput.contains("make \(target) "), "\(target)")
            break
        }
    }
}
