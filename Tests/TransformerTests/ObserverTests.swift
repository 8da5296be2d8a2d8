import Kernels
import TestSupport
import Testing
import Transformer

/// What --debug shows of a step: the tensors that it names, in the order in which they are computed.
@Suite struct ObserverTests {
    private typealias Row = (layer: String, tensor: String, statistics: TensorStatistics)

    private func rows(_ test: TestModel) throws -> [Row] {
        var rows: [Row] = []
        test.model.observer = { rows.append((layer: $0, tensor: $1, statistics: $2)) }
        _ = try test.lossAndGradients()
        test.model.observer = nil
        _ = try test.lossAndGradients()
        return rows
    }

    private func isNear(_ shown: TensorStatistics, _ expected: TensorStatistics) -> Bool {
        let limit = 1e-5 * expected.largestMagnitude
        return shown.nonFiniteCount == 0 && (shown.mean - expected.mean).magnitude < limit
            && (shown.standardDeviation - expected.standardDeviation).magnitude < limit
            && (shown.largestMagnitude - expected.largestMagnitude).magnitude < limit
    }

    private static let block = ["ln_1", "attn.c_attn", "attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
    /// In the order of the forward pass, of a model of two layers.
    private static let layers =
        ["embedding"] + (0..<2).flatMap { layer in block.map { "h.\(layer).\($0)" } } + ["ln_f"]

    @Test func activationsAreThoseOfTheReference() throws {
        let test = try TestModel(vocabulary: 7, context: 5, width: 8, layers: 2, heads: 2, batch: 1)
        test.setBatch(seed: 1)
        let rows = try rows(test)
        #expect(
            rows.map { "\($0.layer) \($0.tensor)" } == Self.layers.map { $0 + " activation" } + ["lm_head loss"]
                + Self.layers.reversed().map { $0 + " gradient" })
        try expectActivations(rows.filter { $0.tensor == "activation" }, ofReferenceOf: test)
    }

    /// Other families under their own names.
    @Test(arguments: Families.names) func activationsOfFamilies(name: String) throws {
        let test = try TestModel(
            vocabulary: 7, context: 5, width: 12, layers: 2, heads: 3, batch: 1,
            variant: try #require(Families.all[name]))
        test.setBatch(seed: 1)
        let rows = try rows(test)
        let activations = rows.filter { $0.tensor == "activation" }
        try expectActivations(activations, ofReferenceOf: test)
        let gradients = rows.filter { $0.tensor == "gradient" }
        #expect(gradients.map(\.layer).sorted() == activations.map(\.layer).sorted())
        #expect(gradients.first?.layer == activations.last?.layer && gradients.last?.layer == "embedding")
        #expect(gradients.allSatisfy { $0.statistics.standardDeviation > 0 })
    }

    private func expectActivations(_ rows: [Row], ofReferenceOf test: TestModel) throws {
        var expected: [(layer: String, values: [Float])] = []
        _ = test.reference.logits(test.model.inputs.array()) { layer, values in
            expected.append((layer, values.flatMap { $0.map { Float($0) } }))
        }
        #expect(rows.map(\.layer) == expected.map(\.layer))
        for (row, (layer, values)) in zip(rows, expected) {
            let buffer = try Buffer<Float>(count: values.count)
            buffer.set(values)
            #expect(isNear(row.statistics, TensorStatistics(buffer.all)), "\(layer)")
        }
    }

    /// Of a single token, the gradient of a layer's output is the gradient of its bias; that of the embedding is the
    /// position's; and what attention gives is the value, whose bias comes behind those of query and key.
    @Test func gradientsAreThoseOfTheBiases() throws {
        let test = try TestModel(vocabulary: 7, context: 1, width: 8, layers: 2, heads: 2, batch: 1)
        test.setBatch(seed: 1)
        let gradients = try rows(test).filter { $0.tensor == "gradient" }
        #expect(gradients.map(\.layer) == Self.layers.reversed())
        for (layer, _, statistics) in gradients {
            let name =
                switch layer {
                case "embedding": "wpe.weight"
                case _ where layer.hasSuffix(".attn"): layer + ".c_attn.bias"
                default: layer + ".bias"
                }
            let parameter = try #require(test.model.layout.parameters.first { $0.name == "transformer." + name })
            let range = layer.hasSuffix(".attn") ? parameter.range.suffix(8) : parameter.range
            #expect(isNear(statistics, TensorStatistics(test.arena[range])), "\(layer)")
            #expect(statistics.standardDeviation > 0)
        }
    }
}
