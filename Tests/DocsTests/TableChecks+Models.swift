import Basics
import Checkpointing
import Foundation
import Testing
import Training
import Transformer

// Tables about families of models: what a new one has, and what is read of config.json.

extension TableChecks {
    static let models: [String: Check] = [
        "docs/models.md › Families › `--architecture` | `model_type` | models | norms | positions | MLP | biases | besides":
            { table in
                let named = table.rows.flatMap { Pages.code(in: $0[0]) }
                #expect(named.sorted() == Architecture.allCases.map(\.rawValue).sorted())
                #expect(named.sorted() == TrainingConfiguration.option("architecture")?.form.words.sorted())
                for row in table.rows { try checkFamily(row) }
            },
        "docs/models.md › A new model › `--architecture` | `--activation` | `--inner-size` | `--norm-epsilon` | `--rope-theta` | head":
            { table in
                let named = table.rows.flatMap { Pages.code(in: $0[0]) }
                #expect(named.sorted() == Architecture.allCases.map(\.rawValue).sorted())
                for row in table.rows {
                    for name in Pages.code(in: row[0]) { try checkDefaults(row, newModel(name, width: 100)) }
                }
            },
        "docs/models.md › What is read of config.json › field of `config.json` | what is computed | from scratch": {
            table in
            let path = try Program.run.get() + "/checkpoints/step-00000006/config.json"
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let written = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            for row in table.rows {
                for field in Pages.code(in: row[0]) { #expect(written[field] != nil, "\(field)") }
                for name in Pages.code(in: row[2]) {
                    #expect(TrainingConfiguration.option(String(name.dropFirst(2)))?.role == .identity, "\(name)")
                }
            }
            #expect(Pages.code(in: table.rows[0][1]) == TrainingConfiguration.option("activation")?.form.words)
            let epsilons = table.rows.first { $0[0] == "`layer_norm_epsilon`" }?[1]
            #expect(TrainingConfiguration.option("norm-epsilon")?.form.expected == "a number from 1e-12 to 1.0")
            #expect(epsilons == "1e-12 to 1")
        },
        "docs/models.md › What is read of config.json › field of `config.json` | families | what is computed | refused, for example":
            { table in
                for row in table.rows {
                    let families =
                        row[1] == "all"
                        ? Architecture.allCases.filter { $0 != .gpt2 && $0 != .modern }.map(\.rawValue)
                        : Pages.code(in: row[1])
                    #expect(!families.isEmpty && !Pages.code(in: row[3]).isEmpty, "\(row)")
                    for (family, field) in families.flatMap({ name in Pages.code(in: row[0]).map { (name, $0) } }) {
                        try checkField(field, of: newModel(family, width: 32), computed: row[2], refused: row[3])
                    }
                }
            },
    ]

    /// A new model with four heads, as the family has it.
    private static func newModel(_ name: String, width: Int) throws -> DecoderConfiguration {
        try .newModel(
            #require(Architecture(rawValue: name), "\(name)"), vocabularySize: 32, contextLength: 48,
            embeddingSize: width, layerCount: 1, headCount: 4)
    }

    private static func checkFamily(_ row: [String]) throws {
        let shape = try newModel(Pages.code(in: row[0])[0], width: 64)
        let written = String(decoding: ModelDescription(shape: shape).configurationJSON(), as: UTF8.self)
        #expect(written.contains("\"model_type\": \"\(Pages.code(in: row[1])[0])\""), "\(row)")
        let norms = [NormKind.layerNorm: "LayerNorm", .rms: "RMSNorm", .plainRMS: "RMSNorm without weights"]
        #expect(row[3] == norms[shape.norm], "\(row)")
        let turned = shape.positions.rotary.map { shape.headSize / $0.rotatedSize }
        #expect(row[4] == [0: "learned", 1: "rotary", 4: "rotary, a quarter of each head"][turned ?? 0], "\(row)")
        #expect(row[5] == (shape.isGated ? "gated" : "plain"), "\(row)")
        let biases = [shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias]
        let words = ["all": [true, true, true], "queries, keys, values": [true, false, false]]
        #expect(biases == words[row[6]] ?? [false, false, false] && !row[6].isEmpty, "\(row)")
        #expect(row[7].contains("queries and keys") == shape.normalizesHeads, "\(row)")
        #expect(row[7].contains("after the embedding") == shape.normalizesEmbedding, "\(row)")
        #expect(row[7].contains("side by side") == shape.hasParallelResidual, "\(row)")
    }

    private static func checkDefaults(_ row: [String], _ shape: DecoderConfiguration) throws {
        #expect(Pages.code(in: row[1]) == [shape.activation.rawValue], "\(row)")
        let widths = ["4 · C": 4 * 100, "8/3 · C, up to a multiple of 64": 320]
        #expect(widths[row[2]] == shape.innerSize, "\(row)")
        #expect((row[3] == "2⁻²³" ? 0x1p-23 : Double(row[3])) == shape.normEpsilon, "\(row)")
        #expect(Double(row[4]) == shape.positions.rotary?.theta, "\(row)")
        #expect(row[5] == (shape.hasTiedHead ? "tied" : "its own"), "\(row)")
    }

    /// Reads a model's `config.json` with each value of a field that a row says is computed, and each that is refused.
    private static func checkField(
        _ field: String, of shape: DecoderConfiguration, computed: String, refused: String
    ) throws {
        let json = try JSON(ModelDescription(shape: shape).configurationJSON())
        let others = try #require(json.members).compactMap { member, value -> String? in
            let name = String(decoding: member, as: UTF8.self)
            return name == field || [.object, .array].contains(value.kind) ? nil : "\"\(name)\": \(value.source)"
        }
        func read(_ value: String) throws {
            let text = "{" + (others + ["\"\(field)\": \(value)"]).joined(separator: ", ") + "}"
            _ = try ModelDescription(configurationJSON: Array(text.utf8), file: "config.json")
        }
        let words = ["llama3", "rope_theta"]
        for value in Pages.code(in: computed) where !words.contains(value) {
            #expect(throws: Never.self, "\(shape.architecture): \(field) \(value)") { try read(value) }
        }
        for value in Pages.code(in: refused) {
            let error = #expect(throws: ExitError.self, "\(shape.architecture): \(field) \(value)") { try read(value) }
            #expect(error?.exitCode == .badInput, "\(shape.architecture): \(field) \(value)")
        }
    }
}
