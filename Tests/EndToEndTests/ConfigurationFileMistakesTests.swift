import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What a configuration file can hold, one line each, and what becomes of it. `steps` is 3 in all that are right.
    @Suite(.serialized) struct ConfigurationFileMistakesTests {
        static let right: [(name: String, text: String, says: String)] = [
            ("underscores in a number", "steps: 3\nfingerprint-interval: 1_000", "fingerprint-interval=1000"),
            ("a quoted number", "steps: \"3\"\nseed: '5'", "seed=5"),
            ("underscores in a name", "steps: 3\nrun-dir: 2026_01", "run-dir=2026_01"),
            ("an alias", "steps: &n 3\nlayers: 1\nwarmup-steps: *n", "warmup-steps=3"),
            ("a byte-order mark", "\u{FEFF}steps: 3\nlayers: 1", "layers=1"),
            ("comments, a document mark and CRLF", "--- # first\r\nsteps: 3 # three\r\nlayers: 1\r\n", "layers=1"),
            ("quotes inside a text", "steps: 3\nrun-dir: \"it's\"", "run-dir=it's"),
            ("a text like null in quotes", "steps: 3\nrun-dir: 'null'", "run-dir=null"),
            ("an empty file", "", "steps=3"),
        ]

        @Test("S1, W1: right files", arguments: right.map(\.name))
        func aRightFile(name: String) throws {
            let (_, text, says) = try #require(Self.right.first { $0.name == name })
            let workspace = try Workspace()
            try workspace.write("run.yaml", text.utf8)
            let run = text.contains("run-dir") ? ["--run-dir", ""] : []
            let steps = text.isEmpty ? ["--steps", "3"] : ["--steps", ""]
            // What stands in the file must not be given by flag: a flag wins.
            let named = ["layers", "warmup-steps", "seed", "fingerprint-interval"].filter { text.contains("\($0): ") }
            let own = named.flatMap { ["--\($0)", ""] }
            let outcome = try workspace.train("run", ["--config", "run.yaml", "--val-data", ""] + run + steps + own)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.first?.contains(" steps=3 ") == true, "\(outcome)")
            #expect(outcome.lines.first?.contains(" \(says) ") == true, "\(outcome)")
        }

        static let wrong: [(name: String, bytes: [UInt8], code: Int32, says: String)] = [
            ("a key twice", Array("steps: 3\nlayers: 1\nsteps: 4\n".utf8), 65, "steps stands there more than once"),
            ("null", Array("val-data: null\n".utf8), 64, "val-data has no value"),
            ("a tilde alone", Array("val-data: ~\n".utf8), 64, "val-data has no value"),
            ("nothing", Array("val-data:\n".utf8), 64, "val-data has no value"),
            ("a list", Array("layers: [1]\n".utf8), 65, "layers must have one value"),
            ("a mapping", Array("layers:\n  model: 1\n".utf8), 65, "layers must have one value"),
            ("yes for a flag", Array("no-shuffle: yes\n".utf8), 64, "no-shuffle is 'yes', expected true or false"),
            ("no for a flag", Array("no-shuffle: no\n".utf8), 64, "no-shuffle is 'no', expected true or false"),
            ("a number in words", Array("layers: 0x10\n".utf8), 64, "layers is '0x10', expected a whole number"),
            ("a quoted number with underscores", Array("layers: '1_0'\n".utf8), 64, "layers is '1_0'"),
            ("a merge key", Array("model: &b\n  layers: 1\n<<: *b\n".utf8), 65, "<< would merge mappings"),
            ("an unknown alias", Array("layers: *n\n".utf8), 65, "not YAML"),
            ("an old name", Array("eval-batches: 3\n".utf8), 64, "eval-batches is now eval-sequences"),
            ("its own name", Array("config: other.yaml\n".utf8), 64, "config is not an option of train"),
            ("Latin-1", Array("run-dir: caf".utf8) + [0xE9, 0x0A], 65, "not UTF-8"),
            ("UTF-16", [0xFF, 0xFE] + Array("layers: 1".utf8).flatMap { [$0, 0] }, 65, "not UTF-8"),
            ("a NUL", Array("layers: 1\0\n".utf8), 65, "run.yaml"),
            ("too large", Array(repeating: UInt8(ascii: "#"), count: 1 << 20 + 1), 65, "at most"),
        ]

        @Test("W1: wrong files", arguments: wrong.map(\.name))
        func aWrongFile(name: String) throws {
            let (_, bytes, code, says) = try #require(Self.wrong.first { $0.name == name })
            let workspace = try Workspace()
            try workspace.write("run.yaml", bytes)
            let outcome = try workspace.train("run", ["--config", "run.yaml"])
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.errorLines.count == 1 && outcome.standardOutput.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
        }

        /// Nested anchors, each ten times the one before: a few hundred bytes that stand for a billion.
        @Test func manyAliasesDoNotHang() throws {
            let workspace = try Workspace()
            var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            for level in 1...9 {
                text += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
                text += "]\n"
            }
            try workspace.write("run.yaml", text.utf8)
            let outcome = try workspace.run(
                workspace.trainArguments("run", ["--config", "run.yaml"]), timeout: 30)
            #expect(outcome.status == 65, "\(outcome)")
        }

        @Test(
            "W1: what is no file is told as what it is",
            arguments: [
                ("data", 65, "is a directory"), ("none.yaml", 66, "none.yaml"),
                ("secret.yaml", 66, "check the permissions"),
            ])
        func whatIsNoFile(path: String, code: Int32, says: String) throws {
            let workspace = try Workspace()
            try workspace.write("secret.yaml", "layers: 1".utf8)
            // Root reads everything; then there is nothing to tell.
            if path == "secret.yaml" {
                chmod(workspace.file(path), 0)
                guard geteuid() != 0 else { return }
            }
            let outcome = try workspace.train("run", ["--config", path])
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
            #expect(!outcome.standardError.contains("NSCocoa"), "\(outcome)")
        }
    }
}
