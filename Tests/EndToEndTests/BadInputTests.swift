import Foundation
import TestSupport
import Testing

extension EndToEndMistakes {
    /// Every mistake: one line that says what, which value and what to do; the exit code of docs/operations.md, from
    /// mpirun too; and nothing half-written.
    @Suite struct BadInputTests {
        /// A mistake in the options of `train`, with the run directory's own options added.
        struct Mistake: Sendable, CustomTestStringConvertible {
            let name: String
            let code: Int32
            /// Each must be in the message.
            let says: [String]
            let options: [String]
            var prepare: @Sendable (Workspace) throws -> Void = { _ in }
            var testDescription: String { name }
        }

        static let mistakes: [Mistake] = [
            Mistake(
                name: "no data", code: 66, says: ["nowhere/train_*.bin", "check the path"],
                options: ["--train-data", "nowhere/train_*.bin"]),
            Mistake(
                name: "no validation data", code: 66, says: ["nowhere/val.bin"],
                options: ["--val-data", "nowhere/val.bin"]),
            Mistake(
                name: "data is a directory", code: 65, says: ["data", "expected a file"],
                options: ["--train-data", "data"]),
            Mistake(
                name: "empty file as a shard", code: 65, says: ["empty.bin", "0 bytes"],
                options: ["--train-data", "data/empty.bin"],
                prepare: { try $0.write("data/empty.bin", []) }),
            Mistake(
                name: "shard without tokens", code: 65, says: ["none.bin", "0 tokens", "give more text"],
                options: ["--train-data", "data/none.bin"], prepare: { try $0.writeShard("data/none.bin", []) }),
            Mistake(
                name: "shard with fewer tokens than a sequence", code: 65, says: ["short.bin", "32 tokens"],
                options: ["--train-data", "data/short.bin"],
                prepare: { try $0.writeShard("data/short.bin", [UInt16](repeating: 1, count: 32)) }),
            Mistake(
                name: "size and header disagree", code: 65, says: ["cut.bin", "1222", "1224"],
                options: ["--train-data", "data/cut.bin"],
                prepare: { try $0.writeShard("data/cut.bin", [UInt16](repeating: 1, count: 100), cut: 2) }),
            Mistake(
                name: "text as a shard", code: 65, says: ["text.bin", "20240520"],
                options: ["--train-data", "data/text.bin"],
                prepare: { try $0.write("data/text.bin", Workspace.text.utf8) }),
            Mistake(
                name: "token id outside the vocabulary", code: 65, says: ["ids.bin", "id 300", "token 777"],
                options: ["--train-data", "data/ids.bin"],
                prepare: { try $0.writeShard("data/ids.bin", [UInt16](repeating: 1, count: 777) + [300, 2, 3]) }),
            Mistake(
                name: "validation token id outside the vocabulary", code: 65, says: ["ids.bin", "id 300"],
                options: ["--val-data", "data/ids.bin"],
                prepare: { try $0.writeShard("data/ids.bin", [UInt16](repeating: 1, count: 777) + [300, 2, 3]) }),
            Mistake(
                name: "heads that do not divide", code: 64, says: ["embedding size 32", "3 heads"],
                options: ["--heads", "3"]),
            Mistake(
                name: "global batch that does not divide", code: 64,
                says: ["--global-batch 9", "nearest valid", "8 or"],
                options: ["--global-batch", "9"]),
            Mistake(name: "unknown flag", code: 64, says: ["--layer"], options: ["--layer", "3"]),
            Mistake(name: "flag without its value", code: 64, says: ["--seed"], options: ["--seed"]),
            Mistake(
                name: "value of another kind", code: 64, says: ["--micro-batch is 'two'", "a whole number"],
                options: ["--micro-batch", "two"]),
            Mistake(
                name: "value out of range", code: 64, says: ["--learning-rate", "nan"],
                options: ["--learning-rate", "nan"]),
            Mistake(name: "no run directory", code: 64, says: ["--run-dir is missing"], options: ["--run-dir", ""]),
            Mistake(
                name: "unknown configuration key", code: 64, says: ["run.yaml", "layerz", "did you mean layers"],
                options: ["--config", "run.yaml"], prepare: { try $0.write("run.yaml", "layerz: 3\n".utf8) }),
            Mistake(
                name: "bad value in the configuration", code: 64, says: ["run.yaml", "steps", "many"],
                options: ["--config", "run.yaml"], prepare: { try $0.write("run.yaml", "steps: many\n".utf8) }),
            Mistake(
                name: "configuration that is no YAML", code: 65, says: ["run.yaml", "not YAML"],
                options: ["--config", "run.yaml"], prepare: { try $0.write("run.yaml", "layers: [1, \n}".utf8) }),
            Mistake(
                name: "configuration that is a list", code: 65, says: ["run.yaml", "mapping"],
                options: ["--config", "run.yaml"], prepare: { try $0.write("run.yaml", "- layers\n".utf8) }),
            Mistake(
                name: "configuration with a list as a value", code: 65, says: ["run.yaml", "layers"],
                options: ["--config", "run.yaml"], prepare: { try $0.write("run.yaml", "layers: [1, 2]\n".utf8) }),
            Mistake(
                name: "configuration that is not there", code: 66, says: ["none.yaml"],
                options: ["--config", "none.yaml"]),
            Mistake(
                name: "run directory below a file", code: 73, says: ["data/tokenizer.json/run", "--run-dir"],
                options: ["--run-dir", "data/tokenizer.json/run"]),
            Mistake(
                name: "checkpoint that is not there", code: 66, says: ["nowhere/step-00000005"],
                options: ["--resume", "nowhere/step-00000005"]),
            Mistake(
                name: "checkpoint that does not verify", code: 65, says: ["step-00000003", "model.safetensors"],
                options: ["--resume", "broken/checkpoints/step-00000003"],
                prepare: { workspace in
                    try #expect(workspace.train("broken", ["--stop-after", "3"]).status == 75)
                    let path = workspace.checkpoint("broken", 3) + "/model.safetensors"
                    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                    bytes[bytes.count - 1] ^= 0x80
                    try bytes.write(to: URL(fileURLWithPath: path))
                }),
            Mistake(
                name: "checkpoint of another model", code: 64, says: ["--embedding-size is 64, the checkpoint has 32"],
                options: ["--resume", "small/checkpoints/step-00000003", "--embedding-size", "64"],
                prepare: { try #expect($0.train("small", ["--stop-after", "3"]).status == 75) }),
            Mistake(
                name: "model directory that is not there", code: 66, says: ["nowhere"],
                options: ["--init-from", "nowhere"]),
            Mistake(
                name: "flag that contradicts the model directory", code: 64,
                says: ["--context-length 32 contradicts 16", "gpt2-curve"],
                options: ["--init-from", Golden.path(of: "gpt2-curve")]),
            Mistake(
                name: "model with fewer ids than the tokenizer", code: 64,
                says: ["data has 300 tokens, the model only 64; make the shards with --tokenizer of that model"],
                options: [
                    "--init-from", Golden.path(of: "gpt2-curve"), "--layers", "", "--heads", "", "--embedding-size", "",
                    "--context-length", "",
                ]),
            Mistake(
                name: "vocabulary smaller than the tokenizer", code: 64, says: ["300 tokens", "200", "--vocab-size"],
                options: ["--vocab-size", "200"]),
            Mistake(
                name: "vocabulary unknown", code: 64, says: ["--vocab-size is missing"],
                options: [],
                prepare: { try FileManager.default.removeItem(atPath: $0.data + "/tokenizer.json") }),
            Mistake(
                name: "tokenizer that is none", code: 65, says: ["tokenizer.json"], options: [],
                prepare: { try $0.write("data/tokenizer.json", "{}".utf8) }),
            Mistake(
                name: "trace without a place", code: 64, says: ["--trace"], options: ["--trace"]),
        ]

        @Test(arguments: mistakes, [1, 2])
        func aMistakeIsOneLineAndItsCode(mistake: Mistake, ranks: Int) throws {
            let workspace = try Workspace()
            try mistake.prepare(workspace)
            let outcome = try workspace.train("run", mistake.options, ranks: ranks)
            #expect(outcome.status == mistake.code, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            let line = outcome.errorLines.first ?? ""
            #expect(line.hasPrefix("swiftlet: error: "))
            for part in mistake.says { #expect(line.contains(part), "\(part): \(outcome)") }
            for noise in ["Fatal error", "Optional(", "Error Domain", "USAGE"] {
                #expect(!outcome.description.contains(noise), "\(outcome)")
            }
            #expect(!FileManager.default.fileExists(atPath: workspace.file("run")), "\(outcome)")
        }

        @Test func aRunDirectoryInUseIsRefused() throws {
            let workspace = try Workspace()
            let long = ["--steps", "100000", "--checkpoint-interval", "100000"]
            let first = try workspace.start(workspace.trainArguments("run", long))
            #expect(first.waitForOutput("step 5 /", timeout: 60))
            for ranks in [1, 2] {
                let second = try workspace.train("run", long, ranks: ranks)
                #expect(second.status == 81, "\(second)")
                #expect(second.errorLines.count == 1, "\(second)")
                #expect(
                    second.errorLines.first?.contains("in use by process \(first.processIdentifier) on host ") == true)
            }
            first.signal(SIGUSR1)
            #expect(first.wait().status == 75)
        }

        /// A script on one host gives another flag: nobody trains.
        @Test(
            arguments: [
                ("--seed 9", "--seed 1", 78, "seed"), ("--steps 30", "", 78, "steps"),
                ("--learning-rate 0.5", "", 78, "learning-rate"), ("--eval-interval 3", "", 78, "eval-interval"),
                // A mistake that only one rank's flags have is told too.
                ("--heads 0", "--heads 2", 64, "rank 1: --heads is '0'"),
            ] as [(String, String, Int32, String)])
        func aRankWithOtherFlagsStopsAll(own: String, others: String, code: Int32, says: String) throws {
            let workspace = try Workspace()
            let script = "if [ \"$OMPI_COMM_WORLD_RANK\" = 1 ]; then exec \"$@\" \(own); else exec \"$@\" \(others); fi"
            let options = workspace.trainArguments(
                "run", own.hasPrefix("--seed") ? [] : [own.split(separator: " ")[0].description, ""])
            let outcome = try Subprocess.mpirun(
                ranks: 2, executable: "/bin/sh", arguments: ["-c", script, "sh", workspace.executable] + options,
                workingDirectory: workspace.path)
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
            #expect(!FileManager.default.fileExists(atPath: workspace.file("run")))
        }

        /// Not a number somewhere: the run ends before the update, and what was saved stays.
        @Test(arguments: [1, 2]) func anExplosionEndsTheRun(ranks: Int) throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--learning-rate", "1e30"], ranks: ranks)
            #expect(outcome.status == 79, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            #expect(outcome.errorLines.first?.contains("no update was made") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.file("run/checkpoints")).isEmpty)
        }

        @Test(arguments: [1, 2]) func debugIsForOneRank(ranks: Int) throws {
            let workspace = try Workspace()
            let outcome = try workspace.train("run", ["--debug"], ranks: ranks)
            #expect(outcome.status == (ranks == 1 ? 0 : 64), "\(outcome)")
            #expect(outcome.standardOutput.contains("debug step 1  h.0.attn.c_attn") == (ranks == 1), "\(outcome)")
        }

        /// The other subcommands.
        @Test(
            arguments: [
                (["evaluate", "--checkpoint", "nowhere", "--data", "data/val_*.bin"], 66, "nowhere"),
                (["evaluate", "--checkpoint", "data", "--data", "data/val_*.bin"], 65, "config.json"),
                (["evaluate", "--data", "data/val_*.bin"], 64, "--checkpoint"),
                (["generate", "--checkpoint", "nowhere", "--prompt", "x"], 66, "nowhere"),
                (["generate", "--checkpoint", "nowhere", "--prompt", "x", "--temperature", "-1"], 64, "--temperature"),
                (["inspect", "nowhere"], 66, "nowhere"),
                (["tokenize", "--input", "nowhere", "--output", "out"], 66, "nowhere"),
                (["tokenize", "--input", "data/tokenizer.json", "--output", "out", "--vocab-size", "3"], 64, "3"),
                (
                    ["tokenize", "--input", "data/tokenizer.json", "--output", "data/tokenizer.json/x"], 73,
                    "data/tokenizer"
                ),
                (["trian"], 64, "trian"),
            ] as [([String], Int32, String)])
        func theOtherSubcommandsErrors(arguments: [String], code: Int32, says: String) throws {
            let workspace = try Workspace()
            let outcome = try workspace.run(arguments)
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.errorLines.count == 1, "\(outcome)")
            #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
        }

        @Test(arguments: [1, 2]) func aDamagedCheckpointIsNotEvaluated(ranks: Int) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "3"]).status == 75)
            let path = workspace.checkpoint("run", 3) + "/model.safetensors"
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            for target in [workspace.checkpoint("run", 3), workspace.file("run")] {
                let outcome = try workspace.run(
                    ["evaluate", "--checkpoint", target, "--data", "data/val_*.bin"], ranks: ranks)
                #expect(outcome.status == 65, "\(outcome)")
                #expect(outcome.errorLines.count == 1, "\(outcome)")
            }
            let inspected = try workspace.run(["inspect", workspace.checkpoint("run", 3)])
            #expect(inspected.status == 65, "\(inspected)")
            #expect(inspected.standardOutput.contains("DOES NOT VERIFY"))
        }
    }
}

extension Workspace {
    /// A shard in llm.c's format, `cut` bytes short of what its header says.
    func writeShard(_ name: String, _ tokens: [UInt16], cut: Int = 0) throws {
        var header = [Int32](repeating: 0, count: 256)
        header[0] = 20_240_520
        header[1] = 1
        header[2] = Int32(tokens.count)
        let bytes =
            header.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * Int32($0))) } }
            + tokens.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        try write(name, bytes.dropLast(cut))
    }
}
