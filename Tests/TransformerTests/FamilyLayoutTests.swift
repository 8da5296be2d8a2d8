import Kernels
import TestSupport
import Testing
import Transformer

/// Names, shapes and places of the tensors of every family but GPT-2, with a width that no vector fits.
@Suite struct FamilyLayoutTests {
    private static let names = Families.names.filter { $0 != "gpt2" }

    private func configuration(_ name: String, width: Int = 11) throws -> DecoderConfiguration {
        let variant = try #require(Families.all[name])
        var configuration = DecoderConfiguration(
            unchecked: .gpt2, vocabularySize: 31, contextLength: 9, embeddingSize: width, layerCount: 2, headCount: 1)
        variant(&configuration)
        try configuration.validate()
        return configuration
    }

    /// A model's tensors in order, of one block, before and behind the blocks.
    private struct Expected {
        var start: [(String, [Int])]
        var block: [(String, [Int])]
        var end: [(String, [Int])]
        var base = "model."
    }

    private func llama(
        q: Int, kv: Int, inner: Int, biases: [(String, [Int])] = [], headNorms: [(String, [Int])] = [], head: Bool
    ) -> Expected {
        Expected(
            start: [("model.embed_tokens.weight", [31, 11])],
            block: [
                ("input_layernorm.weight", [11]), ("self_attn.q_proj.weight", [q, 11]),
                ("self_attn.k_proj.weight", [kv, 11]), ("self_attn.v_proj.weight", [kv, 11]),
            ] + biases + headNorms + [
                ("self_attn.o_proj.weight", [11, q]), ("post_attention_layernorm.weight", [11]),
                ("mlp.gate_proj.weight", [inner, 11]), ("mlp.up_proj.weight", [inner, 11]),
                ("mlp.down_proj.weight", [11, inner]),
            ], end: [("model.norm.weight", [11])] + (head ? [("lm_head.weight", [31, 11])] : []))
    }

    private func expected(_ name: String) throws -> Expected {
        switch name {
        case "llama": return llama(q: 24, kv: 12, inner: 20, head: true)
        case "mistral": return llama(q: 24, kv: 12, inner: 20, head: true)
        case "qwen2":
            return llama(
                q: 24, kv: 12, inner: 20,
                biases: [
                    ("self_attn.q_proj.bias", [24]), ("self_attn.k_proj.bias", [12]), ("self_attn.v_proj.bias", [12]),
                ], head: false)
        case "qwen3":
            return llama(
                q: 24, kv: 8, inner: 20,
                headNorms: [("self_attn.q_norm.weight", [8]), ("self_attn.k_norm.weight", [8])], head: false)
        case "modern":
            return Expected(
                start: [("model.embed_tokens.weight", [31, 11])],
                block: [
                    ("self_attn.q_proj.weight", [16, 11]), ("self_attn.k_proj.weight", [8, 11]),
                    ("self_attn.v_proj.weight", [8, 11]), ("self_attn.o_proj.weight", [11, 16]),
                    ("mlp.up_proj.weight", [24, 11]), ("mlp.down_proj.weight", [11, 24]),
                ], end: [("lm_head.weight", [31, 11])])
        default:
            try #require(name == "gpt-neox")
            return Expected(
                start: [("gpt_neox.embed_in.weight", [31, 11])],
                block: [
                    ("input_layernorm.weight", [11]), ("input_layernorm.bias", [11]),
                    ("attention.query_key_value.weight", [36, 11]), ("attention.query_key_value.bias", [36]),
                    ("attention.dense.weight", [11, 12]), ("attention.dense.bias", [11]),
                    ("post_attention_layernorm.weight", [11]), ("post_attention_layernorm.bias", [11]),
                    ("mlp.dense_h_to_4h.weight", [40, 11]), ("mlp.dense_h_to_4h.bias", [40]),
                    ("mlp.dense_4h_to_h.weight", [11, 40]), ("mlp.dense_4h_to_h.bias", [11]),
                ],
                end: [
                    ("gpt_neox.final_layer_norm.weight", [11]), ("gpt_neox.final_layer_norm.bias", [11]),
                    ("embed_out.weight", [31, 11]),
                ], base: "gpt_neox.")
        }
    }

    @Test(arguments: names) func namesAndShapes(name: String) throws {
        let layout = ParameterLayout(try configuration(name))
        let expected = try expected(name)
        let blocks = (0..<2).flatMap { layer in
            expected.block.map { ("\(expected.base)layers.\(layer).\($0)", $1) }
        }
        let tensors = expected.start + blocks + expected.end
        #expect(layout.parameters.map(\.name) == tensors.map(\.0))
        #expect(layout.parameters.map(\.shape) == tensors.map(\.1))
    }

    /// Queries, keys and values have no gaps between them, gate and what it gates neither; all else starts on a multiple
    /// of 16.
    @Test(arguments: names) func groupsLieSideBySide(name: String) throws {
        let configuration = try configuration(name)
        let layout = ParameterLayout(configuration)
        var end = 0
        for parameter in layout.parameters {
            let goesOn =
                [".k_proj.", ".v_proj."].contains { parameter.name.contains($0) }
                || configuration.isGated && parameter.name.contains(".up_proj.")
            #expect(parameter.offset == (goesOn ? end : (end + 15) / 16 * 16), "\(parameter.name)")
            end = parameter.range.upperBound
        }
        #expect(layout.count == (end + 15) / 16 * 16)
        #expect(layout.parameters.contains { $0.offset % 16 != 0 } == (name != "gpt-neox"))
        expectDecayRanges(layout)
    }

    @Test(arguments: names) func numberOfParameters(name: String) throws {
        let configuration = try configuration(name)
        let expected = try expected(name)
        func count(_ tensors: [(String, [Int])]) -> Int { tensors.reduce(0) { $0 + $1.1.reduce(1, *) } }
        #expect(configuration.parameterCount == count(expected.start) + 2 * count(expected.block) + count(expected.end))
        let layout = ParameterLayout(configuration)
        #expect(layout.parameters.reduce(0) { $0 + $1.count } == configuration.parameterCount)
        // Of an embedding that is not the head too, no product is made; nor are there positions.
        let lookedUp = configuration.hasTiedHead ? 0 : 31 * 11
        let heads = configuration.headCount * configuration.headSize
        #expect(
            configuration.flopsPerToken == Double(6 * (configuration.parameterCount - lookedUp) + 12 * 2 * heads * 9))
    }

    @Test(arguments: [InitializationRecipe.gpt2, .plain, .zeroProjections], ["llama", "gpt-neox"])
    func recipes(recipe: InitializationRecipe, name: String) throws {
        var configuration = try configuration(name, width: 16)
        (configuration.initialization, configuration.hasQueryKeyValueBias) = (recipe, true)
        let layout = ParameterLayout(configuration)
        let (embedding, matrix, projection): (Float, Float, Float) =
            switch recipe {
            // Two layers add four times, and the root of 4 is 2.
            case .gpt2: (0.02, 0.02, 0.01)
            case .plain: (0.02, 0.02, 0.02)
            case .zeroProjections: (0.02, 0.25, 0)
            }
        for parameter in layout.parameters {
            let deviation =
                switch parameter.name.split(separator: ".").dropLast().last {
                case "embed_tokens", "lm_head", "embed_in", "embed_out": embedding
                case "o_proj", "down_proj", "dense", "dense_4h_to_h": projection
                default: matrix
                }
            let expected: ParameterLayout.Initialization =
                if parameter.name.hasSuffix(".bias") {
                    .zeros
                } else if parameter.shape.count == 1 {
                    .ones
                } else {
                    deviation == 0 ? .zeros : .normal(standardDeviation: deviation)
                }
            #expect(parameter.initialization == expected, "\(parameter.name)")
        }
        let weights = try Buffer<Float>(count: layout.count)
        weights.set([Float](repeating: 7, count: layout.count))
        layout.initialize(weights, seed: 1337)
        for parameter in layout.parameters {
            let values = weights.array(parameter.range)
            switch parameter.initialization {
            case .zeros: #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
            case .ones: #expect(values.allSatisfy { $0 == 1 }, "\(parameter.name)")
            case .normal(let deviation):
                // Of some hundred numbers: four standard deviations of their root mean square.
                let square = values.reduce(0) { $0 + Double($1 * $1) } / Double(values.count)
                let limit = 4 / (2 * Double(values.count)).squareRoot()
                #expect((square.squareRoot() / Double(deviation) - 1).magnitude < limit, "\(parameter.name)")
            }
        }
    }
}

/// Ranges with and without weight decay cover the arena, each tensor by one of its kind.
func expectDecayRanges(_ layout: ParameterLayout) {
    var start = 0
    for (range, decays) in layout.decayRanges {
        #expect(range.lowerBound == start)
        start = range.upperBound
        for parameter in layout.parameters where range.contains(parameter.offset) {
            #expect(parameter.decays == decays)
            #expect(parameter.decays == (parameter.shape.count == 2))
            #expect(parameter.range.upperBound <= range.upperBound)
        }
    }
    #expect(start == layout.count)
}
