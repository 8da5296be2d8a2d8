import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite(.serialized) struct PipelineTests {
        /// Raw text in, text out, each step with the executable alone.
        @Test func fromTextToText() throws {
            let workspace = try Workspace()
            let text = try workspace.write("mine/a.txt", Workspace.text.utf8)
            let tokenized = try workspace.run([
                "tokenize", "--input", text, "--output", workspace.file("mine/data"), "--vocab-size", "280",
            ])
            #expect(tokenized.status == 0, "\(tokenized)")
            #expect(tokenized.standardOutput.contains("vocabulary  280 tokens"))

            let data = workspace.file("mine/data")
            let trained = try workspace.train(
                "run",
                [
                    "--train-data", data + "/train_*.bin", "--val-data", data + "/val_*.bin", "--steps", "200",
                    "--learning-rate", "0.003", "--log-interval", "50", "--eval-interval", "50",
                    "--checkpoint-interval", "100",
                ], ranks: 2)
            #expect(trained.status == 0, "\(trained)")
            #expect(trained.errorLines.isEmpty)
            let logLine =
                /^epoch \d+  step \d+ \/ 200  lr \d\.\d{6}  train loss \d+\.\d{4}  val loss \d+\.\d{4}  val ppl \d+\.\d{4}  amp false  \d+ tok\/s$/
            #expect(trained.lines.filter { $0.wholeMatch(of: logLine) != nil }.count == 4, "\(trained)")
            #expect(
                trained.lines.filter { $0.hasPrefix("checkpoint saved ") }.map(String.init) == [
                    "checkpoint saved step-00000100", "checkpoint saved step-00000200",
                ])

            // By run directory and by checkpoint, alone and on ranks: the same line, near the newest validation loss.
            let arguments = ["evaluate", "--data", data + "/val_*.bin", "--checkpoint"]
            let evaluated = try workspace.run(arguments + [workspace.file("run")])
            #expect(evaluated.status == 0, "\(evaluated)")
            let result = try #require(
                evaluated.standardOutput.wholeMatch(of: /loss (\d+\.\d{6})  ppl (\d+\.\d{6})  tokens (\d+)\n/))
            let loss = try #require(Double(result.1))
            let perplexity = try #require(Double(result.2))
            #expect(loss < 3.5, "280 tokens at random are 5.63")
            #expect(abs(exp(loss) - perplexity) < 1e-4 * perplexity)
            let json = try workspace.run(arguments + [workspace.file("run"), "--json"]).standardOutput
            let members = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
            #expect(Set(members.keys) == ["loss", "perplexity", "bitsPerByte", "tokens"])
            #expect(abs(try #require(members["loss"] as? Double) - loss) < 1e-6, "\(json)")
            #expect(members["tokens"] as? Int == Int(result.3))
            for ranks in [2, 3] {
                let shared = try workspace.run(arguments + [workspace.checkpoint("run", 200)], ranks: ranks)
                #expect(shared.standardOutput == evaluated.standardOutput, "\(shared)")
            }

            let sample = ["generate", "--checkpoint", workspace.file("run"), "--prompt", "let ", "--max-tokens", "60"]
            let generated = try workspace.run(sample)
            #expect(generated.status == 0, "\(generated)")
            #expect(generated.standardOutput.hasPrefix("let "))
            #expect(generated.standardOutput.count > 60)
            #expect(try workspace.run(sample).standardOutput == generated.standardOutput)
            let other = try workspace.run(sample + ["--seed", "2"])
            #expect(other.standardOutput != generated.standardOutput)
            // Most of what it writes are words of the text.
            let words = Set(Workspace.text.split(whereSeparator: \.isWhitespace))
            let written = generated.standardOutput.split(whereSeparator: \.isWhitespace)
            #expect(written.filter { words.contains($0) }.count * 2 > written.count, "\(generated)")

            for path in [
                workspace.file("run"), workspace.checkpoint("run", 200), data + "/train_000000.bin",
                data + "/tokenizer.json", workspace.checkpoint("run", 200) + "/model.safetensors",
            ] {
                let inspected = try workspace.run(["inspect", path])
                #expect(inspected.status == 0, "\(inspected)")
                #expect(inspected.lines.count >= 2, "\(inspected)")
            }
        }

        @Test func theRunDirectoryHoldsWhatTheDesignSays() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--keep", "2"]).status == 0)
            let files = FileManager.default
            let run = try files.contentsOfDirectory(atPath: workspace.file("run")).filter { !$0.hasPrefix(".") }
            let events = run.filter { $0.hasPrefix("events.out.tfevents.") }
            #expect(events.count == 1)
            #expect(
                run.filter { !events.contains($0) }.sorted()
                    == ["checkpoints", "config.json", "metrics.jsonl", "starts.jsonl"])
            #expect(
                try files.contentsOfDirectory(atPath: workspace.file("run/checkpoints")).sorted()
                    == ["step-00000015", "step-00000020"])
            #expect(
                try files.contentsOfDirectory(atPath: workspace.checkpoint("run", 20)).sorted() == [
                    "config.json", "generation_config.json", "manifest.json", "model.safetensors",
                    "optimizer.safetensors", "tokenizer.json", "tokenizer_config.json", "trainer_state.json",
                ])
        }

        @Test func aRunThatIsDoneHasNothingToDo() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            let before = try RunRecord(workspace, "run", step: 20)
            let again = try workspace.train("run")
            #expect(again.status == 0, "\(again)")
            #expect(again.standardOutput.contains("nothing to do: step 20 of 20 is reached"))
            #expect(try RunRecord(workspace, "run", step: 20) == before)
        }

        @Test func helpIsPrintedOnceUnderMPI() throws {
            let workspace = try Workspace()
            for arguments in [["--help"], ["train", "--help"]] {
                let outcome = try workspace.run(arguments, ranks: 2)
                #expect(outcome.status == 0, "\(outcome)")
                #expect(outcome.standardOutput.components(separatedBy: "USAGE:").count == 2, "\(outcome)")
                #expect(outcome.standardError.isEmpty, "\(outcome)")
            }
        }

        /// Every option of the design is one of the command line.
        @Test func helpNamesEveryOption() throws {
            let workspace = try Workspace()
            let help = try workspace.run(["train", "--help"]).standardOutput
            for option in [
                "config", "train-data", "val-data", "run-dir", "layers", "heads", "embedding-size", "context-length",
                "vocab-size", "init-from", "micro-batch", "global-batch", "steps", "warmup-steps", "learning-rate",
                "min-learning-rate", "schedule", "decay-steps", "weight-decay", "beta1", "beta2", "epsilon",
                "grad-clip", "precision", "reduction", "overlap", "threads", "log-interval", "eval-interval",
                "eval-sequences",
                "checkpoint-interval", "keep", "fingerprint-interval", "resume", "extend-schedule", "rewarm", "seed",
                "no-shuffle", "debug", "progress", "sample-interval", "sample-prompt", "sample-tokens", "log-format",
            ] {
                #expect(help.contains("--\(option) ") || help.contains("--\(option)\n"), "\(option)")
            }
        }
    }
}
