import Foundation
import TestSupport
import Testing

/// `make shakespeare` with stand-ins for swiftlet and curl, and what the launch scripts do with options from elsewhere.
@Suite struct ShakespeareTests {
    private func tree() throws -> LaunchTree {
        let tree = try LaunchTree(mpirun: "while [[ $1 != */swiftlet ]]; do shift; done; exec \"$@\"")
        try FileManager.default.copyItem(
            atPath: LaunchTree.repository + "/Makefile", toPath: tree.checkout + "/Makefile")
        try tree.standIn(
            "checkout/.build/release/swiftlet",
            """
            output="" previous=""
            for word in "$@"; do [[ $previous != --output ]] || output=$word; previous=$word; done
            [[ -z $output ]] || mkdir -p "$output"
            """)
        try tree.write("checkout/my text/it's.txt", "a text")
        return tree
    }

    private func make(_ tree: LaunchTree, _ arguments: String...) throws -> Subprocess.Outcome {
        try Subprocess.run(
            "/usr/bin/env", ["make", "-s", "-o", "build", "shakespeare"] + arguments,
            environment: tree.variables.merging(["MAKEFLAGS": "", "MAKELEVEL": ""]) { $1 },
            workingDirectory: tree.checkout)
    }

    @Test("a text of one's own is made bytes and trained on, once") func ownText() throws {
        let tree = try tree()
        try tree.standIn("bin/curl", "exit 1")
        for _ in 0..<2 {
            let outcome = try make(tree, "TEXT=my text/it's.txt")
            #expect(outcome.status == 0, "\(outcome)")
        }
        let calls = try tree.calls("swiftlet").map(\.arguments)
        #expect(calls.map { $0[0] } == ["tokenize", "train", "evaluate", "train", "evaluate"])
        #expect(
            calls[0] == [
                "tokenize", "--input", "my text/it's.txt", "--output", "corpus/it-s-bytes.part", "--vocab-size", "257",
            ])
        #expect(
            calls[1].prefix(9) == [
                "train", "--config", "configs/shakespeare-char.yaml", "--train-data", "corpus/it-s-bytes/train_*.bin",
                "--val-data", "corpus/it-s-bytes/val_*.bin", "--run-dir", "runs/it-s-bytes",
            ])
        #expect(try tree.calls("curl").isEmpty)
        // Another text under the same name.
        try tree.write("checkout/my text/it's.txt", "another text")
        let other = try make(tree, "TEXT=my text/it's.txt")
        #expect(other.status == 2 && other.standardError.contains("give another NAME"), "\(other)")
        #expect(try make(tree, "TEXT=my text/it's.txt", "NAME=more").status == 0)
    }

    @Test("a download that is another text is not kept") func download() throws {
        let tree = try tree()
        try tree.standIn("bin/curl", "while [[ $1 != -o ]]; do shift; done; echo wrong >\"$2\"")
        let outcome = try make(tree)
        #expect(outcome.status == 2, "\(outcome)")
        #expect(outcome.standardError.contains("is not the text"), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: tree.checkout + "/corpus/shakespeare/input.txt"))
        #expect(try tree.calls("swiftlet").isEmpty)
        let url = try #require(try tree.calls("curl").first?.arguments.last)
        #expect(url.hasPrefix("https://raw.githubusercontent.com/karpathy/char-rnn/") && url.hasSuffix("/input.txt"))
    }

    @Test("options from the environment reach other hosts") func environment() throws {
        let tree = try tree()
        try tree.standIn("bin/agent", "exit 0")
        try tree.write("hosts.txt", "a slots=1\n")
        let outcome = try tree.run(
            "hosts", [tree.path + "/hosts.txt", "train"],
            environment: [
                "OMPI_MCA_plm_rsh_agent": "agent", "SWIFTLET_SEED": "5", "SWIFTLET_KEEP_BEST": "true",
                "SWIFTLET_CPU": "native",
            ])
        #expect(outcome.status == 0, "\(outcome)")
        let arguments = try tree.calls()[0].arguments
        let given = arguments.indices.filter { arguments[$0] == "-x" }.map { arguments[$0 + 1] }
        #expect(given == ["SWIFTLET_KEEP_BEST", "SWIFTLET_SEED"])
    }

    @Test("--print-config needs no ranks") func printing() throws {
        let tree = try tree()
        let outcome = try tree.run("local", ["-n", "2", "train", "--config", "a.yaml", "--print-config"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try tree.calls().isEmpty)
        #expect(try tree.calls("swiftlet").map(\.arguments) == [["train", "--config", "a.yaml", "--print-config"]])
    }
}
