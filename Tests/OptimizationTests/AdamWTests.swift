import Kernels
import Optimization
import TestSupport
import Testing

/// The optimizer over an arena of several ranges, with constants so large that each shows in every result.
@Suite struct AdamWTests {
    private static let constants = {
        var constants = AdamW.Hyperparameters()
        (constants.weightDecay, constants.beta1, constants.beta2, constants.epsilon) = (3, 0.7, 0.6, 0.5)
        return constants
    }()
    private static let ranges: [(range: Range<Int>, decays: Bool)] = [
        (0..<32, true), (32..<48, false), (48..<69, true),
    ]
    private static let rate = 0.01
    private static let scale = 0.25

    /// The formula of Loshchilov & Hutter as PyTorch has it, in Double.
    private struct Reference {
        var weights: [Double]
        var first: [Double]
        var second: [Double]
        var step = 0

        mutating func update(_ gradients: [Double], decays: (Int) -> Bool) {
            step += 1
            let correction1 = 1 - (0..<step).reduce(1.0) { power, _ in power * 0.7 }
            let correction2 = 1 - (0..<step).reduce(1.0) { power, _ in power * 0.6 }
            for i in weights.indices {
                let g = gradients[i] * AdamWTests.scale
                first[i] = 0.7 * first[i] + 0.3 * g
                second[i] = 0.6 * second[i] + 0.4 * g * g
                if decays(i) { weights[i] *= 1 - AdamWTests.rate * 3 }
                let root = (second[i] / correction2).squareRoot()
                weights[i] -= AdamWTests.rate * (first[i] / correction1) / (root + 0.5)
            }
        }
    }

    private static func decays(_ index: Int) -> Bool { ranges.contains { $0.decays && $0.range.contains(index) } }

    /// - Parameter start: updates made before, as after a resume.
    @Test(arguments: [0, 1, 20]) func everyConstantCounts(start: Int) throws {
        var random = TestRandom(3)
        let count = 69
        let pool = try Compute(threadCount: 1).pool
        let initial = random.normal(count).map { Float($0) }
        let weights = try Buffer<Float>(count: count)
        weights.set(initial)
        let copy = try Buffer<BFloat16>(count: count)
        let optimizer = try AdamW(Self.constants, ranges: Self.ranges)
        optimizer.step = start
        var reference = Reference(
            weights: initial.map(Double.init), first: [Double](repeating: 0, count: count),
            second: [Double](repeating: 0, count: count), step: start)
        for update in 1...4 {
            let gradients = try Buffer<Float>(count: count)
            gradients.set(random.normal(count, scale: 4).map { Float($0) })
            optimizer.update(
                weights, gradients: gradients, copy: copy, rates: LearningRates(adamW: Self.rate),
                gradientScale: Self.scale,
                pool: pool)
            let before = reference.weights
            reference.update(gradients.array().map(Double.init), decays: Self.decays)
            #expect(optimizer.step == start + update)
            #expect(relativeError(optimizer.firstMoments.array(), reference.first) < 3e-7)
            #expect(relativeError(optimizer.secondMoments.array(), reference.second) < 3e-7)
            // Of the change, not of the weight: a wrong constant moves a weight by little of itself.
            let change = zip(weights.array(), before).map { Double($0) - $1 }
            let expected = zip(reference.weights, before).map { $0 - $1 }
            #expect(relativeError(change, expected) < 1e-5, "update \(update)")
            #expect(copy.array().map(\.float) == weights.array().map { BFloat16(rounding: $0).float })
        }
    }

    @Test func aNewOptimizerKnowsNothing() throws {
        let optimizer = try AdamW(Self.constants, ranges: Self.ranges)
        #expect(optimizer.step == 0 && optimizer.hyperparameters == Self.constants)
        #expect(optimizer.firstMoments.count == 69 && optimizer.secondMoments.count == 69)
        #expect(optimizer.firstMoments.array().allSatisfy { $0 == 0 })
        #expect(optimizer.secondMoments.array().allSatisfy { $0 == 0 })
    }
}

/// As `torch.nn.utils.clip_grad_norm_`: max_norm / (norm + 1e-6), at most 1.
@Suite struct GradientClippingTests {
    @Test(arguments: [
        (1.0, 0.0), (1, 0.5), (1, 0.999), (1, 1), (1, 2), (1, 1e-7), (0.25, 0.2), (0.25, 0.3), (3, 1e30), (1e-6, 1e-6),
    ])
    func isThatOfPyTorch(maximum: Double, norm: Double) {
        let factor = GradientClipping.factor(norm: norm, maximum: maximum)
        #expect(factor == min(1, maximum / (norm + 1e-6)))
        #expect(factor <= 1 && factor * norm <= maximum)
    }

    /// The 10⁻⁶ shows where the norm is about as small.
    @Test func smallNorms() {
        #expect(GradientClipping.factor(norm: 1e-6, maximum: 1e-6) == 0.5)
        #expect(GradientClipping.factor(norm: 0, maximum: 1e-7) == 1e-7 / 1e-6)
    }

    @Test(arguments: [0.0, 1, 1e30]) func zeroTurnsItOff(norm: Double) {
        #expect(GradientClipping.factor(norm: norm, maximum: 0) == 1)
    }
}
