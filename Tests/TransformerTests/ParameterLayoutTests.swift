import Kernels
import TestSupport
import Testing
import Transformer

@Suite struct ParameterLayoutTests {
    private func gpt2() throws -> DecoderConfiguration {
        try DecoderConfiguration(
            vocabularySize: 50257, contextLength: 1024, embeddingSize: 768, layerCount: 12, headCount: 12)
    }

    @Test func gpt2HasItsNumbers() throws {
        let configuration = try gpt2()
        let layout = ParameterLayout(configuration)
        #expect(configuration.parameterCount == 124_439_808)
        #expect(layout.parameters.reduce(0) { $0 + $1.count } == 124_439_808)
        #expect(layout.parameters.count == 148)
        // Every tensor's size is a multiple of 16, so that there are no gaps.
        #expect(layout.count == 124_439_808)
        // 6 · (parameters − positions) + 12 · L · C · T.
        #expect(configuration.flopsPerToken == 6 * 123_653_376 + 12 * 12 * 768 * 1024)
    }

    @Test func namesAndShapesOfTheFixture() throws {
        let fixture = try GPT2Fixture()
        let golden = try Golden("gpt2-tiny/model.safetensors")
        #expect(Set(fixture.model.layout.parameters.map(\.name)) == golden.names)
        for parameter in fixture.model.layout.parameters {
            #expect(parameter.shape == golden.shape(parameter.name))
        }
    }

    @Test func forwardOrder() throws {
        let layout = ParameterLayout(try gpt2())
        let block = [
            "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
            "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
            "mlp.c_proj.bias",
        ]
        let names =
            ["wte.weight", "wpe.weight"] + (0..<12).flatMap { layer in block.map { "h.\(layer).\($0)" } }
            + ["ln_f.weight", "ln_f.bias"]
        #expect(layout.parameters.map(\.name) == names.map { "transformer." + $0 })
    }

    /// A head of its own is the last tensor; its token embedding costs no FLOPs.
    @Test func aHeadOfItsOwn() throws {
        var configuration = try gpt2()
        (configuration.hasTiedHead, configuration.innerSize) = (false, 1000)
        let layout = ParameterLayout(configuration)
        let last = try #require(layout.parameters.last)
        #expect(last.name == "lm_head.weight" && last.shape == [50257, 768] && last.decays)
        #expect(last.initialization == .normal(standardDeviation: 0.02))
        let parameters = 124_439_808 + 50257 * 768 - 12 * 2072 * 1537
        #expect(configuration.parameterCount == parameters)
        #expect(layout.parameters.reduce(0) { $0 + $1.count } == parameters)
        let lookedUp = (50257 + 1024) * 768
        #expect(configuration.flopsPerToken == Double(6 * (parameters - lookedUp) + 12 * 12 * 768 * 1024))
    }

    @Test(
        arguments: [
            (11, 3, 5, 2, 1), (97, 23, 30, 2, 3), (2, 1, 1, 1, 1), (1000, 64, 48, 3, 4),
        ], [true, false])
    func tensorsStandOnCacheLinesWithoutOverlap(
        sizes: (vocabulary: Int, context: Int, width: Int, layers: Int, heads: Int), hasTiedHead: Bool
    ) throws {
        var configuration = try DecoderConfiguration(
            vocabularySize: sizes.vocabulary, contextLength: sizes.context, embeddingSize: sizes.width,
            layerCount: sizes.layers, headCount: sizes.heads)
        configuration.hasTiedHead = hasTiedHead
        let layout = ParameterLayout(configuration)
        var end = 0
        for parameter in layout.parameters {
            #expect(parameter.offset % 16 == 0)
            #expect(parameter.offset >= end && parameter.offset < end + 16)
            #expect(parameter.decays == (parameter.shape.count == 2))
            end = parameter.range.upperBound
        }
        #expect(layout.count >= end && layout.count < end + 16)
        #expect(layout.parameters.reduce(0) { $0 + $1.count } == configuration.parameterCount)
        expectDecayRanges(layout)
    }

    @Test func newWeights() throws {
        let configuration = try DecoderConfiguration(
            vocabularySize: 500, contextLength: 64, embeddingSize: 96, layerCount: 8, headCount: 4)
        let layout = ParameterLayout(configuration)
        let weights = try Buffer<Float>(count: layout.count)
        weights.set([Float](repeating: 7, count: layout.count))
        layout.initialize(weights, seed: 1337)
        for parameter in layout.parameters {
            let values = weights.array(parameter.range).map(Double.init)
            let mean = values.reduce(0, +) / Double(values.count)
            let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
            if parameter.name.hasSuffix("bias") {
                #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
            } else if parameter.name.contains("ln_") {
                #expect(values.allSatisfy { $0 == 1 }, "\(parameter.name)")
            } else {
                // What is added to the residual stream is smaller by the root of the 16 additions.
                let wanted = parameter.name.hasSuffix("c_proj.weight") ? 0.02 / 4 : 0.02
                #expect((deviation / wanted - 1).magnitude < 0.05, "\(parameter.name)")
                #expect(mean.magnitude < 5 * wanted / Double(values.count).squareRoot(), "\(parameter.name)")
            }
        }
    }

    /// The first numbers of four tensors for seed 1337: SplitMix64 and Box & Muller, computed in Python.
    @Test(arguments: [
        ("wte.weight", [-0.008_285_696_3, 0.010_159_051, -0.025_209_731, 0.019_509_556]),
        ("wpe.weight", [-0.035_457_629, -0.000_792_521_3, 0.005_362_797_3, -0.005_517_204_3]),
        ("h.0.attn.c_attn.weight", [-0.006_003_841_6, 0.001_202_577_3, 0.004_386_738_1, -0.006_476_678_1]),
        ("h.1.mlp.c_proj.weight", [0.002_211_937_9, -0.003_622_429_9, -0.004_911_332_9, -0.002_621_529_9]),
    ])
    func theSameInEveryVersion(name: String, expected: [Double]) throws {
        let layout = ParameterLayout(
            try DecoderConfiguration(
                vocabularySize: 50, contextLength: 8, embeddingSize: 16, layerCount: 2, headCount: 2))
        let weights = try Buffer<Float>(count: layout.count)
        layout.initialize(weights, seed: 1337)
        let parameter = try #require(layout.parameters.first { $0.name == "transformer." + name })
        let values = weights.array(parameter.range)
        for (value, expected) in zip(values, expected) { #expect((Double(value) - expected).magnitude < 1e-8) }
    }

    /// A function of the seed: the same again for the same one, and nothing in common with another's, not even
    /// shifted. The tensors of one model have nothing in common either.
    @Test func seeds() throws {
        let configuration = try DecoderConfiguration(
            vocabularySize: 50, contextLength: 8, embeddingSize: 16, layerCount: 2, headCount: 2)
        let layout = ParameterLayout(configuration)
        func values(_ seed: UInt64) throws -> [Float] {
            let weights = try Buffer<Float>(count: layout.count)
            layout.initialize(weights, seed: seed)
            return weights.array()
        }
        let first = try values(1)
        #expect(try values(1) == first)
        var seen = Set(first.filter { $0 != 0 && $0 != 1 }.map(\.bitPattern))
        let drawn = layout.parameters.filter(\.decays).reduce(0) { $0 + $1.count }
        #expect(seen.count > drawn * 99 / 100)
        for seed in [0, 2, 3, 4, 5, 1338, .max] as [UInt64] {
            let others = try values(seed).filter { $0 != 0 && $0 != 1 }.map(\.bitPattern)
            let shared = others.filter { seen.contains($0) }.count
            #expect(shared < others.count / 50, "seed \(seed) shares \(shared) of \(others.count) values")
            seen.formUnion(others)
        }
    }
}
