import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite(.serialized) struct InspectTests {
        /// Changes one bit in the middle of a file.
        private func damage(_ path: String) throws {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        @Test("M: inspect ends with 65 when any checkpoint of a run does not verify", arguments: [10, 20])
        func aDamagedRun(step: Int) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            for path in ["run", "run/checkpoints"] {
                let whole = try workspace.run(["inspect", workspace.file(path)])
                #expect(whole.status == 0, "\(whole)")
                #expect(!whole.standardOutput.contains("DOES NOT VERIFY"))
                #expect(whole.lines.filter { $0.contains("  verifies  ") }.count == 3, "\(whole)")
            }
            try damage(workspace.checkpoint("run", step) + "/optimizer.safetensors")
            for path in ["run", "run/checkpoints", "run/"] {
                let outcome = try workspace.run(["inspect", workspace.file(path)])
                #expect(outcome.status == 65, "\(outcome)")
                let bad = outcome.lines.filter { $0.contains("DOES NOT VERIFY") }
                #expect(bad.count == 1 && bad[0].contains("step-000000\(step)"), "\(outcome)")
                #expect(outcome.lines.filter { $0.contains("  verifies  ") }.count == 2, "\(outcome)")
            }
        }

        /// A link that leads to itself cannot be read, by root neither.
        @Test(
            "M: 65 where any checkpoint does not verify, 66 where one cannot be read and no other is worse",
            arguments: [(30, false, 66), (30, true, 65), (1, true, 65)])
        func theWorst(unreadable: Int, damages: Bool, status: Int32) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "10"]).status == 75)
            let link = workspace.checkpoint("run", unreadable)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: link)
            if damages { try damage(workspace.checkpoint("run", 10) + "/optimizer.safetensors") }
            try workspace.write("run/checkpoints/notes", "text".utf8)
            let outcome = try workspace.run(["inspect", workspace.file("run")])
            #expect(outcome.status == status, "\(outcome)")
            #expect(outcome.lines.count { $0.contains("  CANNOT BE READ: ") } == 1, "\(outcome)")
            #expect(outcome.lines.count { $0.contains("  DOES NOT VERIFY: ") } == (damages ? 1 : 0), "\(outcome)")
            #expect(outcome.lines.last == "  1 other names ignored", "\(outcome)")
        }

        @Test(
            "M: inspect of a damaged checkpoint names the file",
            arguments: [
                "model.safetensors", "optimizer.safetensors", "trainer_state.json", "tokenizer.json", "config.json",
            ])
        func aDamagedFile(name: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "2"]).status == 75)
            try damage(workspace.checkpoint("run", 2) + "/" + name)
            let outcome = try workspace.run(["inspect", workspace.checkpoint("run", 2)])
            #expect(outcome.status == 65, "\(outcome)")
            let lines = outcome.lines.dropFirst()
            for file in ["model.safetensors", "optimizer.safetensors", "tokenizer.json", "config.json"] {
                let line = lines.first { $0.hasPrefix("  \(file)  ") }
                #expect(line?.hasSuffix("  verifies") == (file != name), "\(file): \(outcome)")
            }
        }

        @Test func aVariant() throws {
            let workspace = try Workspace()
            let outcome = try workspace.train(
                "run", ["--steps", "1", "--activation", "relu", "--inner-size", "40", "--untied-head"])
            #expect(outcome.status == 0, "\(outcome)")
            let shown = try workspace.run(["inspect", workspace.checkpoint("run", 1) + "/config.json"])
            #expect(shown.standardOutput.hasSuffix("  inner 40  relu  own head\n"), "\(shown)")
            let checkpoint = try workspace.run(["inspect", workspace.checkpoint("run", 1)])
            #expect(checkpoint.lines.count { $0.hasPrefix("  gpt2  layers ") && $0.hasSuffix("  own head") } == 1)
        }

        @Test("W2: inspect reads every file of a run, and counts epochs from 1 as the log does")
        func everyFile() throws {
            let workspace = try Workspace()
            let trained = try workspace.train("run", ["--steps", "200", "--checkpoint-interval", "200"])
            #expect(trained.status == 0)
            let epoch = try #require(trained.lines.last { $0.hasPrefix("epoch ") }?.split(separator: " ")[1])
            #expect(Int(epoch) ?? 0 > 1)
            let checkpoint = workspace.checkpoint("run", 200)
            for (path, words) in [
                (checkpoint, ["verifies", "epoch \(epoch)  "]),
                (checkpoint + "/trainer_state.json", ["verifies", "step 200 / 200  epoch \(epoch)  "]),
                (checkpoint + "/manifest.json", ["checkpoint \(checkpoint)  verifies"]),
                (checkpoint + "/config.json", ["model ", "gpt2  layers 2  heads 2"]),
                (checkpoint + "/tokenizer.json", ["tokenizer ", "vocabulary 300"]),
                (checkpoint + "/generation_config.json", ["settings ", "transformers_version"]),
                (checkpoint + "/tokenizer_config.json", ["settings ", "GPT2TokenizerFast"]),
                (checkpoint + "/model.safetensors", ["tensors 28"]),
                (workspace.file("run/config.json"), ["settings ", "  layers  2", "  steps  200"]),
                (workspace.file("run/metrics.jsonl"), ["verifies", "steps 1 to 200  train loss "]),
                (workspace.file("data/train_000000.bin"), ["verifies", "tokens "]),
            ] {
                let outcome = try workspace.run(["inspect", path])
                #expect(outcome.status == 0, "\(outcome)")
                for word in words { #expect(outcome.standardOutput.contains(word), "\(word): \(outcome)") }
            }
        }

        @Test(
            "W2: what inspect is given and does not know is 65 and named",
            arguments: [
                ("a.json", "{}"), ("b.json", "[1]"), ("c.json", "nonsense"), ("d.jsonl", "nonsense\n"),
                ("e.txt", "text"),
                ("f.json", #"{"scheduler":1}"#), ("g.json", #"{"files":{}}"#), ("h.json", #"{"model":{}}"#),
                ("i.jsonl", #"{"step":1}"#), ("j.jsonl", "{\"step\":2}\n{\"step\":1}\n"), ("k.bin", "text"),
                ("l.safetensors", "text"),
            ])
        func whatItIsNot(name: String, text: String) throws {
            let workspace = try Workspace()
            let path = try workspace.write(name, text.utf8)
            let outcome = try workspace.run(["inspect", path])
            #expect(outcome.status == 65, "\(outcome)")
            #expect((outcome.standardOutput + outcome.standardError).contains(name == "g.json" ? "manifest" : path))
        }

        @Test("T2: inspect of a rate above 9.2e12 prints it") func aHugeRate() throws {
            let workspace = try Workspace()
            let huge = [
                "--learning-rate", "1e13", "--steps", "400000", "--warmup-steps", "200000", "--stop-after", "1",
            ]
            #expect(try workspace.train("run", huge + ["--grad-clip", "0.000001"]).status == 75)
            for path in ["run", "run/checkpoints/step-00000001", "run/checkpoints/step-00000001/trainer_state.json"] {
                let outcome = try workspace.run(["inspect", workspace.file(path)])
                #expect(outcome.status == 0 && outcome.standardOutput.contains("learning rate 1000000"), "\(outcome)")
            }
        }

        @Test(
            "P6: a link to a checkpoint is one to every command, with a slash or without", arguments: ["best", "best/"])
        func aLink(name: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "5"]).status == 75)
            try FileManager.default.createSymbolicLink(
                atPath: workspace.file("best"), withDestinationPath: workspace.checkpoint("run", 5))
            let link = workspace.path + "/" + name
            let data = workspace.data + "/val_*.bin"
            let direct = try workspace.run(["evaluate", "--data", data, "--checkpoint", workspace.checkpoint("run", 5)])
            #expect(direct.status == 0, "\(direct)")
            let linked = try workspace.run(["evaluate", "--data", data, "--checkpoint", link])
            #expect(linked.standardOutput == direct.standardOutput, "\(linked)")
            #expect(try workspace.run(["inspect", link]).status == 0)
            #expect(try workspace.run(["generate", "--checkpoint", link, "--prompt", "let"]).status == 0)
            #expect(try workspace.train("other", ["--resume", link]).status == 0)
            #expect(
                try workspace.train("third", ["--init-from", link, "--steps", "3", "--warmup-steps", "1"]).status == 0)
        }

        @Test("W1: --init-from takes a run directory, and says so of one without a checkpoint") func initFrom() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "5"]).status == 75)
            let from = ["--init-from", workspace.file("run"), "--steps", "3", "--warmup-steps", "1"]
            #expect(try workspace.train("second", from).status == 0)
            try FileManager.default.removeItem(atPath: workspace.checkpoint("run", 5))
            for outcome in [
                try workspace.train("third", from),
                try workspace.run([
                    "evaluate", "--data", workspace.data + "/val_*.bin", "--checkpoint", workspace.file("run"),
                ]),
            ] {
                #expect(outcome.status == 66, "\(outcome)")
                #expect(outcome.standardError.contains("has no checkpoint yet"), "\(outcome)")
            }
        }

        @Test("S1: a path that is no UTF-8 is the one that was given") func bytesInPaths() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "2"]).status == 75)
            // The shell hands the byte over; Swift's own process types cannot.
            let script =
                "cp -r \(workspace.file("run")) $'\(workspace.path)/r\\xe9' && "
                + "\(workspace.executable) inspect $'\(workspace.path)/r\\xe9' && "
                + "! \(workspace.executable) inspect $'\(workspace.path)/r\\xea'"
            let outcome = try Subprocess("/bin/bash", ["-c", script], workingDirectory: workspace.path).wait(
                timeout: 120)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.standardOutput.contains(#"r\xe9"#) && outcome.standardError.contains(#"r\xea"#))
        }
    }
}
