import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A run knows its tokenizer and its data: what does not belong together is an error, unless it is meant.
    @Suite(.serialized) struct DataIdentityTests {
        /// A workspace with a second corpus, of another text and tokenizer of the same size, in `other`.
        private func withOtherCorpus() throws -> Workspace {
            let workspace = try Workspace()
            let text = try workspace.write("other.txt", String(Workspace.text.reversed()).utf8)
            let made = try workspace.run(
                ["tokenize", "--input", text, "--output", workspace.file("other"), "--vocab-size", "300"])
            #expect(made.status == 0, "\(made)")
            return workspace
        }

        /// One line that names both, with code 65; and with the option, the same goes on.
        private func expectRefused(
            _ workspace: Workspace, _ arguments: [String], names: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let outcome = try workspace.run(arguments)
            #expect(outcome.status == 65, "\(outcome)", sourceLocation: sourceLocation)
            #expect(outcome.errorLines.count == 1, "\(outcome)", sourceLocation: sourceLocation)
            for part in names + ["two tokenizers", "300 tokens", "--allow-other-tokenizer"] {
                #expect(outcome.standardError.contains(part), "\(part): \(outcome)", sourceLocation: sourceLocation)
            }
            let allowed = try workspace.run(arguments + ["--allow-other-tokenizer"])
            #expect(allowed.status == 0, "\(allowed)", sourceLocation: sourceLocation)
            let said = allowed.standardOutput + allowed.standardError
            #expect(said.contains("as --allow-other-tokenizer allows"), "\(allowed)", sourceLocation: sourceLocation)
        }

        @Test("S4: --val-data, --init-from and evaluate --data of another tokenizer") func foreignShards() throws {
            let workspace = try withOtherCorpus()
            let other = workspace.file("other")
            try expectRefused(
                workspace, workspace.trainArguments("val", ["--val-data", other + "/val_*.bin"]),
                names: ["--train-data", "--val-data"])

            #expect(try workspace.train("run").status == 0)
            let checkpoint = workspace.checkpoint("run", 20)
            let arguments = workspace.trainArguments(
                "init",
                [
                    "--init-from", checkpoint, "--train-data", other + "/train_*.bin", "--val-data", "", "--layers", "",
                    "--heads", "", "--embedding-size", "", "--context-length", "", "--steps", "1",
                ])
            try expectRefused(workspace, arguments, names: ["--init-from", "--train-data"])
            try expectRefused(
                workspace, ["evaluate", "--checkpoint", checkpoint, "--data", other + "/val_*.bin"],
                names: ["the model in", "--data"])
            // The right one needs no word.
            let right = try workspace.run(
                ["evaluate", "--checkpoint", checkpoint, "--data", workspace.data + "/val_*.bin"])
            #expect(right.status == 0 && right.errorLines.isEmpty, "\(right)")
        }

        @Test("S4: tokenizer.json replaced beside the shards, before a start and before a resume")
        func replacedTokenizer() throws {
            let workspace = try withOtherCorpus()
            #expect(try workspace.train("run", ["--stop-after", "10"]).status == 75)
            let file = workspace.data + "/tokenizer.json"
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.copyItem(atPath: workspace.file("other/tokenizer.json"), toPath: file)
            for run in ["run", "new"] {
                let outcome = try workspace.train(run)
                #expect(outcome.status == 65, "\(outcome)")
                #expect(outcome.standardError.contains("two tokenizers"), "\(outcome)")
                #expect(outcome.standardError.contains("the tokenizer in '\(workspace.data)'"), "\(outcome)")
            }
            // Without it, the shards' own word is enough; and later checkpoints keep what the first has (S15).
            try FileManager.default.removeItem(atPath: file)
            let resumed = try workspace.train("run")
            #expect(resumed.status == 0, "\(resumed)")
            let tokenizer = "/tokenizer.json"
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: workspace.checkpoint("run", 20) + tokenizer))
                    == Data(contentsOf: URL(fileURLWithPath: workspace.checkpoint("run", 10) + tokenizer)))
        }

        @Test("S4: shards that do not say which tokenizer they are of") func oldShards() throws {
            let workspace = try withOtherCorpus()
            for folder in ["data", "other"] {
                for name in ["train_000000.bin", "val_000000.bin"] {
                    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: workspace.file("\(folder)/\(name)"))))
                    bytes.replaceSubrange(12..<1024, with: [UInt8](repeating: 0, count: 1012))
                    try workspace.write("\(folder)/\(name)", bytes)
                }
            }
            // The tokenizer beside them says it.
            let foreign = try workspace.train("run", ["--val-data", workspace.file("other/val_*.bin")])
            #expect(foreign.status == 65 && foreign.standardError.contains("two tokenizers"), "\(foreign)")
            // Without one, a line says that nobody knows.
            try FileManager.default.removeItem(atPath: workspace.file("other/tokenizer.json"))
            let unknown = try workspace.train("run", ["--val-data", workspace.file("other/val_*.bin")])
            #expect(unknown.status == 0, "\(unknown)")
            #expect(unknown.standardOutput.contains("--val-data does not say which tokenizer"), "\(unknown)")
            let known = try workspace.train("known")
            #expect(known.status == 0 && !known.standardOutput.contains("does not say"), "\(known)")
        }

        @Test("S8: vocab.json with merges.txt gives checkpoints a tokenizer") func twoFilesMakeOne() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            let model = workspace.file("model")
            try FileManager.default.copyItem(atPath: workspace.checkpoint("run", 20), toPath: model)
            let json = try JSONSerialization.jsonObject(
                with: Data(contentsOf: URL(fileURLWithPath: model + "/tokenizer.json")))
            let parts = try #require((json as? [String: Any])?["model"] as? [String: Any])
            let merges = try #require(parts["merges"] as? [[String]])
            try JSONSerialization.data(withJSONObject: try #require(parts["vocab"]))
                .write(to: URL(fileURLWithPath: model + "/vocab.json"))
            try workspace.write("model/merges.txt", merges.map { $0.joined(separator: " ") + "\n" }.joined().utf8)
            for path in [model + "/tokenizer.json", model + "/manifest.json", workspace.data + "/tokenizer.json"] {
                try FileManager.default.removeItem(atPath: path)
            }

            let shape = ["--layers", "", "--heads", "", "--embedding-size", "", "--context-length", "", "--steps", "2"]
            let outcome = try workspace.train("from", ["--init-from", model] + shape)
            #expect(outcome.status == 0, "\(outcome)")
            let sample = ["generate", "--prompt", "let ", "--max-tokens", "5", "--checkpoint"]
            #expect(try workspace.run(sample + [workspace.checkpoint("from", 2)]).status == 0)
            // Nothing beside them is ignored.
            try workspace.write("model/added_tokens.json", #"{"<x>": 300}"#.utf8)
            let refused = try workspace.train("refused", ["--init-from", model] + shape)
            #expect(refused.status == 65 && refused.standardError.contains("'<x>' (added_tokens.json"), "\(refused)")
        }

        @Test("S9: the mark in a prompt is the token with which texts begin") func marksInPrompts() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            let sample = ["generate", "--checkpoint", workspace.file("run"), "--max-tokens", "20", "--prompt"]
            let empty = try workspace.run(sample + [""])
            let mark = try workspace.run(sample + ["<|endoftext|>"])
            #expect(empty.status == 0 && empty.standardOutput.count > 20, "\(empty)")
            #expect(mark.standardOutput == "<|endoftext|>" + empty.standardOutput, "\(mark)")
        }

        @Test("P3: a hundred shards with 64 files, the same bits as one") func manyShards() throws {
            let workspace = try Workspace()
            let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: workspace.data + "/train_000000.bin")))
            let count = (whole.count - 1024) / 2
            for index in 0..<100 {
                let range = count * index / 100..<count * (index + 1) / 100
                var header = Array(whole[..<1024])
                header.replaceSubrange(8..<12, with: (0..<4).map { UInt8(truncatingIfNeeded: range.count >> (8 * $0)) })
                let name = String(format: "many/train_%06d.bin", index)
                try workspace.write(name, header + whole[1024 + 2 * range.lowerBound..<1024 + 2 * range.upperBound])
            }
            #expect(try workspace.train("one", ["--vocab-size", "300"]).status == 0)
            let arguments = workspace.trainArguments(
                "many", ["--train-data", workspace.file("many/train_*.bin"), "--vocab-size", "300"])
            let outcome = try Subprocess(
                "/bin/sh", ["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", workspace.executable] + arguments,
                workingDirectory: workspace.path
            ).wait(timeout: 120)
            #expect(outcome.status == 0, "\(outcome)")
            let weights = "model.safetensors"
            #expect(
                try RunRecord(workspace, "many", step: 20).hashes[weights]
                    == RunRecord(workspace, "one", step: 20).hashes[weights])
        }

        @Test("H4: pipes among the data are refused at once; as text they are read, until a signal comes")
        func pipes() throws {
            let workspace = try Workspace()
            let pipe = workspace.file("pipe.bin")
            #expect(mkfifo(pipe, 0o600) == 0)
            for arguments in [
                workspace.trainArguments("run", ["--train-data", pipe]),
                workspace.trainArguments("run", ["--val-data", pipe]),
                ["inspect", pipe],
            ] {
                let outcome = try workspace.run(arguments, timeout: 60)
                #expect(outcome.status == 65, "\(outcome)")
                #expect(outcome.standardError.contains("is a pipe"), "\(outcome)")
            }
            for signal in [SIGINT, SIGTERM] {
                let process = try workspace.start(["tokenize", "--input", pipe, "--output", workspace.file("out")])
                Thread.sleep(forTimeInterval: 0.5)
                process.signal(signal)
                let outcome = process.wait(timeout: 60)
                #expect(outcome.status == 128 + signal && !outcome.timedOut, "\(outcome)")
            }
        }

        @Test("S17: a corpus that is there stays, unless it may be overwritten") func overwriting() throws {
            let workspace = try Workspace()
            let before = try Data(contentsOf: URL(fileURLWithPath: workspace.data + "/train_000000.bin"))
            let text = try workspace.write("other.txt", Workspace.text.uppercased().utf8)
            let arguments = ["tokenize", "--input", text, "--output", workspace.data, "--vocab-size", "280"]
            let refused = try workspace.run(arguments)
            #expect(refused.status == 73, "\(refused)")
            #expect(refused.standardError.contains("tokenizer.json, …, val_000000.bin"), "\(refused)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: workspace.data + "/train_000000.bin")) == before)
            let meant = try workspace.run(arguments + ["--overwrite"])
            #expect(meant.status == 0 && meant.standardOutput.contains("\nreplaced    3 files"), "\(meant)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: workspace.data + "/train_000000.bin")) != before)
            // Nothing is made for input that is not there.
            let missing = try workspace.run(["tokenize", "--input", "nowhere", "--output", workspace.file("new")])
            #expect(missing.status == 66, "\(missing)")
            #expect(!FileManager.default.fileExists(atPath: workspace.file("new")))
        }

        @Test(
            "every number of tokenize at the ends of its range",
            arguments: [
                "0", "-1", "2147483648", "4611686018427387904", "9223372036854775807", "99999999999999999999", "1e3",
                "nan", "1",
            ]) func numbersOfTokenize(number: String) throws
        {
            let workspace = try Workspace()
            let text = try workspace.write("a.txt", "some text".utf8)
            let arguments = ["tokenize", "--input", text, "--output", workspace.file("out")]
            let size = try workspace.run(arguments + ["--vocab-size", number])
            #expect(size.status == 64, "\(size)")
            let fraction = try workspace.run(arguments + ["--val-fraction", number])
            #expect(fraction.status == (number == "0" ? 0 : 64), "\(fraction)")
        }
    }
}
