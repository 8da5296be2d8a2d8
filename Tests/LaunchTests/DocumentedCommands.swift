import Foundation
import TestSupport
import Testing

/// The lines of the pages that start with a launch script: each leads to a call of mpirun or of swiftlet.
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
        guard let text = try? String(contentsOfFile: LaunchTree.repository + "/" + page, encoding: .utf8)
        else { return [] }
        // Lines of code, continued ones joined; words in backquotes; the examples at the head of a script.
        let blocks = text.replacing(#/ *\\\n */#, with: " ").split(separator: "\n").compactMap { line -> Substring? in
            line.firstMatch(of: /^(?:    |#     )(?=\S)(.*)/)?.1
        }
        let words = text.replacing("\n", with: " ").matches(of: /`([^`]+)`/).map(\.1)
        return (blocks + words).compactMap { code in
            // What stands behind three blanks is a remark; what stands in brackets may be left out.
            let command = code.split(separator: "   ").first.map(String.init) ?? ""
            let shown = command.replacing(#/ ?(…|\.\.\.)/#, with: "").replacing(/\[[^\]]*\] ?/, with: "")
            let isWhole = shown.contains(
                /^(launch|sbatch .*launch)\/\w+ .*\b(train|tokenize|evaluate|generate|inspect|bench)\b/)
            return isWhole ? Command(page: page, text: shown) : nil
        }
    }

    @Test func thePagesHaveCommands() {
        for start in ["launch/local ", "launch/hosts ", "launch/restart ", "sbatch "] {
            #expect(Self.all.contains { $0.text.hasPrefix(start) }, "\(start)")
        }
        #expect(Self.all.count > 12)
    }

    @Test(arguments: all) func works(command: Command) throws {
        let tree = try LaunchTree()
        try tree.write("checkout/hosts.txt", "localhost slots=1\n")
        try tree.standIn("bin/sbatch", "until [[ $1 == launch/* ]]; do shift 2; done; exec \"$@\"")
        try tree.standIn("bin/scontrol", "echo Command=\(tree.checkout)/launch/slurm")
        let outcome = try tree.bash(
            command.text, environment: ["SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": "/", "SLURM_CPUS_ON_NODE": "1"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try tree.calls().count + tree.calls("swiftlet").count == 1, "\(outcome)")
    }
}
