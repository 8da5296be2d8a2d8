import Foundation
import Kernels
import TestSupport
import Testing
import Transformer

@Suite struct GeneratorTests {
    /// Token by token through the cache, against PyTorch's logits of whole sequences.
    @Test(arguments: [1, 2])
    func logitsAgreeWithPyTorch(threads: Int) throws {
        let fixture = try GPT2Fixture(training: false)
        let inputs = try fixture.batch.tokens("inputs")
        let expected = try fixture.batch.doubles("logits")
        for sequence in 0..<3 {
            let generator = try Generator(of: fixture.model, threads: threads)
            for place in 0..<23 {
                let row = sequence * 23 + place
                let logits = try generator.logits(after: inputs[row])
                #expect(relativeError(logits, Array(expected[row * 97..<(row + 1) * 97])) < 5e-6)
            }
        }
    }

    /// Past the context the newer half is read again from position 0: the same as a fresh start with it.
    @Test func slidesWhenTheContextIsFull() throws {
        let fixture = try GPT2Fixture(training: false)
        let inputs = try fixture.batch.tokens("inputs")
        let long = try Generator(of: fixture.model)
        var logits: [Float] = []
        for token in inputs[0..<24] { logits = try long.logits(after: token) }
        let short = try Generator(of: fixture.model)
        var expected: [Float] = []
        // 11 of the 23 are kept, and then comes the 24th.
        for token in inputs[12..<24] { expected = try short.logits(after: token) }
        #expect(logits == expected)
        #expect(long.forgottenCount == 12 && short.forgottenCount == 0)
        // Again before the 36th, the 48th and the 60th.
        for token in inputs[24..<69] { logits = try long.logits(after: token) }
        #expect(long.forgottenCount == 48)
        let fresh = try Generator(of: fixture.model)
        for token in inputs[48..<69] { expected = try fresh.logits(after: token) }
        #expect(logits == expected)
    }

    /// Token by token, every variant gives the logits of whole sequences.
    @Test(arguments: FiniteDifferenceTests.variants.keys.sorted()) func variants(name: String) throws {
        let test = try TestModel(
            vocabulary: 31, context: 9, width: 12, layers: 3, heads: 3, batch: 1,
            variant: try #require(FiniteDifferenceTests.variants[name]))
        let generator = try Generator(of: test.model)
        let tokens: [Int32] = [3, 30, 0, 7, 7, 12, 1, 29, 3]
        let expected = test.reference.logits(tokens)
        for (token, row) in zip(tokens, expected) {
            #expect(relativeError(try generator.logits(after: token), row) < 5e-6)
        }
    }

    @Test func contextOfOne() throws {
        let test = try TestModel(vocabulary: 5, context: 1, width: 8, layers: 1, heads: 2, batch: 1)
        let generator = try Generator(of: test.model)
        for token in [3, 1, 3] as [Int32] {
            let expected = test.reference.logits([token])[0]
            #expect(relativeError(try generator.logits(after: token), expected) < 5e-6)
        }
        #expect(generator.forgottenCount == 2)
    }
}

extension Generator {
    /// One with the weights of a model.
    fileprivate convenience init(of model: any LanguageModel, threads: Int = 1) throws {
        try self.init(model.configuration, compute: Compute(threadCount: threads))
        weights.set(model.weights.array())
    }
}

@Suite struct SamplerTests {
    static let logits: [Float] = [0.5, 2, -1, 2, 1, -30]

    /// The likeliest, and of equals the first.
    @Test func temperatureZeroTakesTheLikeliest() {
        var sampler = Sampler(temperature: 0, topK: nil, seed: 1)
        #expect((0..<100).allSatisfy { _ in sampler.next(Self.logits) == 1 })
        var narrow = Sampler(temperature: 1.5, topK: 1, seed: 1)
        #expect((0..<100).allSatisfy { _ in narrow.next(Self.logits) == 1 })
    }

    /// 20,000 draws against the softmax: five standard deviations of a count.
    @Test(arguments: [0.5, 1.0, 2.0], [nil, 3])
    func frequenciesFollowTheSoftmax(temperature: Double, topK: Int?) {
        var sampler = Sampler(temperature: temperature, topK: topK, seed: 3)
        let count = 20_000
        var drawn = [Int](repeating: 0, count: 6)
        for _ in 0..<count { drawn[Int(sampler.next(Self.logits))] += 1 }
        let kept = topK == nil ? Set(0..<6) : [1, 3, 4]
        let powers = Self.logits.indices.map { kept.contains($0) ? exp(Double(Self.logits[$0]) / temperature) : 0 }
        let total = powers.reduce(0, +)
        for (token, power) in powers.enumerated() {
            let p = power / total
            let deviation = (Double(count) * p * (1 - p)).squareRoot()
            #expect((Double(drawn[token]) - Double(count) * p).magnitude <= 5 * deviation, "token \(token)")
        }
    }

    @Test func equalSeedsDrawEqualTokens() {
        func draws(_ seed: UInt64) -> [Int32] {
            var sampler = Sampler(temperature: 1, topK: nil, seed: seed)
            return (0..<200).map { _ in sampler.next(Self.logits) }
        }
        #expect(draws(1) == draws(1))
        #expect(draws(1) != draws(2))
        #expect(Array(draws(1).dropFirst()) != Array(draws(2).dropLast()))
    }

    @Test func extremeLogits() {
        var sampler = Sampler(temperature: 1e-6, topK: 50, seed: 1)
        #expect(sampler.next([-1e30, 1e30, 0]) == 1)
        #expect(sampler.next([7]) == 0)
    }
}
