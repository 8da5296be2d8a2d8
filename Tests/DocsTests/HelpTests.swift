import Foundation
import Testing
import Training

/// What `--help` prints, against the tables of options and against a list of defaults of its own.
@Suite struct HelpTests {
    /// The help of a subcommand as one line.
    private func help(_ subcommand: String) throws -> String {
        let outcome = try Program.run([subcommand, "--help"])
        #expect(outcome.status == 0 && outcome.standardError.isEmpty, "\(outcome)")
        return outcome.standardOutput.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// Every row of a table is there with its sentence and its default, those that have another name now are not.
    private func check<Settings: OptionSettings>(_: Settings.Type, _ defaults: [String: String]) throws {
        let help = try help(Settings.command)
        for row in Settings.options {
            guard row.successor == nil else {
                #expect(!help.contains("--\(row.name) "), "--\(row.name) is no option any more")
                continue
            }
            let value = row.form.placeholder.map { " <\($0)>" } ?? ""
            #expect(help.contains("--\(row.name)\(value) \(row.help)"), "--\(row.name)")
            let shown = help.components(separatedBy: "--\(row.name)\(value) \(row.help)").last ?? ""
            let standard = shown.firstMatch(of: /^ \(default: ([^)]*)\)/).map { String($0.1) }
            #expect(standard == row.fallback, "--\(row.name)")
            #expect(standard == defaults[row.name], "--\(row.name) of \(Settings.command)")
        }
        let names = Set(Settings.options.map(\.name))
        for name in defaults.keys { #expect(names.contains(name), "--\(name) is no option of \(Settings.command)") }
    }

    private static let shape = [
        "architecture": "gpt2", "layers": "6", "heads": "6", "kv-heads": "as many as heads",
        "head-size": "the embedding size divided by the heads", "embedding-size": "384", "context-length": "256",
        "micro-batch": "8", "precision": "auto", "reduction": "exact", "overlap": "messages", "threads": "auto",
        "inner-size": "four times the embedding size; where the MLP is gated 8/3 of it, up to a multiple of 64",
        "activation": "gelu_new in gpt2, gelu in gpt-neox, relu2 in modern, else silu",
    ]

    @Test("M: the help of train tells every default") func train() throws {
        let own = [
            "vocab-size": "that of the tokenizer beside the training data", "global-batch": "16", "steps": "10000",
            "warmup-steps": "100", "learning-rate": "0.0003", "min-learning-rate": "0.0", "schedule": "cosine",
            "decay-steps": "a fifth of the steps", "weight-decay": "0.1", "beta1": "0.9", "beta2": "0.95",
            "epsilon": "1e-08", "grad-clip": "1.0", "log-interval": "10", "eval-interval": "100",
            "eval-sequences": "160", "checkpoint-interval": "100", "keep": "3", "fingerprint-interval": "100",
            "step-timeout": "60", "resume": "auto", "seed": "1337", "norm-epsilon": "the architecture's",
            "rope-theta": "the architecture's", "dropout": "0.0", "embedding-dropout": "that of --dropout",
            "attention-dropout": "that of --dropout", "residual-dropout": "that of --dropout",
            "optimizer": "adamw", "muon-learning-rate": "0.02", "muon-momentum": "0.95", "muon-weight-decay": "0.01",
            "muon-precision": "auto",
            "sequence-warmup": "none", "decay-shape": "sqrt", "sample-prompt": "as a text begins",
            "sample-tokens": "64", "log-format": "text",
        ]
        try check(TrainingConfiguration.self, own.merging(Self.shape) { $1 })
    }

    @Test("M: the help of bench tells every default") func bench() throws {
        let own = [
            "vocab-size": "8192", "accumulation": "1", "bucket": "an eighth of them, 1024 to 8192", "steps": "10",
            "optimizer": "adamw", "muon-precision": "auto",
        ]
        try check(Benchmark.Options.self, own.merging(Self.shape) { $1 })
    }

    @Test("M: the help of evaluate tells every default") func evaluate() throws {
        try check(
            ModelEvaluation.Options.self,
            ["sequences": "all", "micro-batch": "8", "precision": "auto", "context-length": "the model's"])
    }

    @Test("M: the help of generate tells every default") func generate() throws {
        try check(
            TextGeneration.Options.self,
            [
                "max-tokens": "200", "temperature": "0.8", "top-k": "50", "seed": "1", "precision": "fp32",
                "context-length": "the model's",
                "threads": "auto",
            ])
    }

    @Test("M: the help of plan tells every default, and has the options of train") func plan() throws {
        try check(RunPlan.Options.self, ["ranks": "as many as it was started with"])
        let help = try help("plan")
        for row in TrainingConfiguration.options where row.successor == nil {
            #expect(help.contains(" --\(row.name) "), "--\(row.name)")
        }
    }

    @Test("M: the help of export tells every default") func export() throws {
        try check(ModelExport.Options.self, ["dtype": "fp32"])
    }

    @Test("M: the help of tokenize tells every default") func tokenize() throws {
        let help = try help("tokenize")
        for (name, value) in [("vocab-size", "8192"), ("val-fraction", "0.1")] {
            let text = help.components(separatedBy: " --\(name) <").last ?? ""
            let end = text.firstMatch(of: #/ --[a-z]/#)?.range.lowerBound ?? text.endIndex
            #expect(text[..<end].hasSuffix("(default: \(value))"), "--\(name)")
        }
    }

    /// A page that names a default in brackets behind an option, `--keep` (3), names the table's.
    @Test(arguments: Pages.all) func defaultsOnThePages(page: String) throws {
        for match in try Pages.text(page).matches(of: /`--([a-z-]+)` \(([0-9.e-]+)\)/) {
            guard let row = TrainingConfiguration.option(String(match.1)), let standard = row.fallback else { continue }
            #expect(Double(standard) == Double(match.2), "--\(match.1) in \(page)")
        }
    }
}
