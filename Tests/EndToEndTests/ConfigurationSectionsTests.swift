import Foundation
import TestSupport
import Testing
import Training

extension EndToEnd {
    /// Files by section, the environment, `--print-config`, and what a resume says of its options.
    @Suite(.serialized) struct ConfigurationSectionsTests {
        private static let yaml = """
            data:
              train-data: data/train_*.bin
              val_data: "data/val_*.bin"
            model:
              layers: 1
              heads: 2
              embedding_size: 32
              context-length: 32
            training: { micro-batch: 2, global-batch: 8, steps: 3, warmup-steps: 1 }
            optimization:
              # nothing is given here
            ranks: {threads: 1, precision: fp32}
            seed: 7
            """

        private func run(
            _ workspace: Workspace, _ arguments: [String], environment: [String: String] = [:]
        ) throws -> Subprocess.Outcome {
            try Subprocess.run(
                workspace.executable, ["train", "--config", "run.yaml"] + arguments, environment: environment,
                workingDirectory: workspace.path, timeout: 120)
        }

        private func workspace(_ yaml: String = yaml) throws -> Workspace {
            let workspace = try Workspace()
            try workspace.write("run.yaml", yaml.utf8)
            return workspace
        }

        @Test("a file by section and side by side gives its options; flag, environment and file in this order")
        func sections() throws {
            let workspace = try workspace()
            let outcome = try run(
                workspace, ["--run-dir", "run", "--steps", "2"],
                environment: ["SWIFTLET_STEPS": "5", "SWIFTLET_LAYERS": "2", "SWIFTLET_STEP": "1"])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.first == "from the environment: SWIFTLET_LAYERS=2", "\(outcome)")
            let told = Set((outcome.lines.dropFirst().first ?? "").split(separator: " "))
            for option in [
                "layers=2", "steps=2", "seed=7", "embedding-size=32", "val-data=data/val_*.bin", "beta1=0.9",
            ] {
                #expect(told.contains(Substring(option)), "\(option): \(outcome)")
            }
            let warning = "SWIFTLET_STEP in the environment is not an option of train and has no effect; did you mean"
            #expect(outcome.warningLines.filter { $0.contains(warning) }.count == 1, "\(outcome)")
        }

        @Test("ranks have the environment's options alike") func ranks() throws {
            let workspace = try workspace()
            let outcome = try Subprocess.mpirun(
                ranks: 2, executable: workspace.executable,
                arguments: ["train", "--config", "run.yaml", "--run-dir", "run"], environment: ["SWIFTLET_STEPS": "2"],
                workingDirectory: workspace.path)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.filter { $0 == "from the environment: SWIFTLET_STEPS=2" }.count == 1, "\(outcome)")
            #expect(outcome.standardOutput.contains("checkpoint saved step-00000002"), "\(outcome)")
        }

        static let wrong: [(yaml: String, code: Int32, says: String)] = [
            (
                "model:\n  layers: 1\n  steps: 3\n", 64,
                "run.yaml:3: steps stands in section model, it belongs to training"
            ),
            (
                "modell:\n  layers: 1\n", 64,
                "run.yaml:1: modell is no section; did you mean model? There are data, model"
            ),
            ("model:\n  layers: 1\nlayers: 2\n", 65, "run.yaml:3: layers stands there more than once"),
            ("model:\n  kv_heads: 1\n  kv-heads: 2\n", 65, "run.yaml:3: kv-heads stands there more than once"),
            ("model:\n  layers: 1\n  layers: 2\n", 65, "layers stands there more than once"),
            ("model:\n  layerz: 1\n", 64, "run.yaml:2: layerz is not an option of train; did you mean layers?"),
            ("model:\n  layers: many\n", 64, "run.yaml:2: layers is 'many', expected a whole number"),
            ("model:\n  layers: {a: 1}\n", 65, "run.yaml:2: layers must have one value"),
            ("layers: {a: 1}\n", 65, "run.yaml:1: layers must have one value"),
            ("model: 3\n", 65, "run.yaml:1: model is a section; give its options below it"),
            ("model: [layers]\n", 65, "run.yaml:1: model is a section; give its options below it"),
            ("model:\n  layers:\n", 64, "run.yaml:2: layers has no value"),
            ("model: &m\n  layers: 1\ntraining:\n  <<: *m\n", 65, "run.yaml:4: << would merge mappings"),
            ("model: &m\n  layers: 1\ntraining: *m\n", 64, "layers stands in section training, it belongs to model"),
            ("model:\n  ? [a]\n  : 1\n", 65, "a key must have one value"),
            ("data:\n  eval-batches: 3\n", 64, "eval-batches is now eval-sequences"),
        ]

        @Test("mistakes in sections are told with their line", arguments: wrong.indices)
        func aWrongFile(index: Int) throws {
            let (yaml, code, says) = Self.wrong[index]
            let outcome = try run(workspace(yaml), ["--run-dir", "run", "--train-data", "data/train_*.bin"])
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.errorLines.count == 1 && outcome.standardOutput.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.first?.contains(says) == true, "\(outcome)")
        }

        @Test("--print-config makes nothing, and --config takes back what it prints") func printing() throws {
            let workspace = try workspace()
            let before = try workspace.tree("")
            // A path that YAML must not take for something else.
            let odd = ["--run-dir", "a: b\t#\"\u{e9}\\", "--trace", "null", "--recipe", "modern"]
            let first = try run(workspace, odd + ["--print-config"], environment: ["SWIFTLET_KEEP": "2"])
            #expect(first.status == 0 && first.standardError.isEmpty, "\(first)")
            #expect(try workspace.tree("") == before)
            let words = first.lines.map { $0.split(separator: " ").joined(separator: " ") }
            for line in [
                "layers: 1 # run.yaml:5", "keep: 2 # SWIFTLET_KEEP", "optimizer: muon # recipe modern",
                "trace: \"null\" # flag", "log-interval: 10 # default",
            ] {
                #expect(words.contains(line), "\(line): \(first)")
            }
            try workspace.write("run.yaml", first.standardOutput.utf8)
            let second = try run(workspace, ["--print-config"])
            #expect(second.status == 0, "\(second)")
            func values(_ outcome: Subprocess.Outcome) -> [Substring] {
                outcome.lines.filter { !$0.hasPrefix("#") }.map { line in
                    line.firstMatch(of: /^(.*?) +# [^#]*$/).map { $0.1 } ?? line
                }
            }
            #expect(values(first) == values(second))
        }

        @Test("under mpirun one rank prints") func printingOnRanks() throws {
            let workspace = try workspace()
            let outcome = try Subprocess.mpirun(
                ranks: 2, executable: workspace.executable,
                arguments: ["train", "--config", "run.yaml", "--print-config"],
                workingDirectory: workspace.path)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.filter { $0 == "data:" }.count == 1, "\(outcome)")
        }

        @Test("a resume says what differs from the newest start") func resuming() throws {
            let workspace = try workspace()
            #expect(try run(workspace, ["--run-dir", "run", "--stop-after", "1"]).status == 75)
            let printed = try run(workspace, ["--run-dir", "run", "--keep", "5", "--print-config"])
            #expect(printed.status == 0, "\(printed)")
            #expect(printed.lines.contains("# goes on from step-00000001"), "\(printed)")
            #expect(printed.lines.contains("# changed since the last start: --keep 3 → 5"), "\(printed)")
            let outcome = try run(workspace, ["--run-dir", "run", "--keep", "5"])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(
                outcome.lines.filter { $0.hasPrefix("changed since the last start: ") } == [
                    "changed since the last start: --keep 3 → 5",
                    "changed since the last start: --stop-after 1 → none",
                ], "\(outcome)")
        }
    }
}
