import Kernels
import TestSupport
import Testing

@Suite struct AdamWUpdateTests {
    private func coefficients(
        _ rate: Double, decay: Double, step: Int, gradientScale: Double = 1
    ) -> AdamWUpdate.Coefficients {
        AdamWUpdate.Coefficients(
            learningRate: rate, weightDecay: decay, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: step,
            gradientScale: gradientScale)
    }

    /// Five steps against torch.optim.AdamW in float64. PyTorch's own float32 differs from it by 6.1e-8.
    @Test(arguments: [("decay", 0.1), ("plain", 0.0)])
    func agreesWithPyTorch(name: String, decay: Double) throws {
        let golden = try Golden("adamw.safetensors")
        let pool = try Compute(threadCount: 1).pool
        let weights = try Buffer<Float>(count: 37)
        weights.set(try golden.floats("initial"))
        let first = try Buffer<Float>(count: 37)
        let second = try Buffer<Float>(count: 37)
        for step in 1...5 {
            let rows = (step - 1) * 37..<step * 37
            let gradients = try Buffer<Float>(count: 37)
            gradients.set(Array(try golden.floats("gradients")[rows]))
            let rate = try golden.doubles("learning_rate")[step - 1]
            AdamWUpdate.apply(
                pool, weights: weights.all, gradients: gradients.all, firstMoments: first.all,
                secondMoments: second.all, copy: nil, coefficients(rate, decay: decay, step: step))
            for (part, buffer) in [("weights", weights), ("exp_avg", first), ("exp_avg_sq", second)] {
                let expected = try golden.doubles("\(name).\(part)")[rows]
                expectClose(
                    buffer.array(), Array(expected), relative: part == "exp_avg" ? 0 : 1e-6,
                    scaled: part == "exp_avg" ? 1e-6 : 0, "\(part) after step \(step)")
            }
        }
    }

    /// A longer range: threads, the copy for matmuls, the gradient's scale, and nothing outside of the range.
    @Test func largeRange() throws {
        let (count, margin) = (20_011, 16)
        var random = TestRandom(5)
        let total = count + 2 * margin
        let weights = try Operand(random.normal(total), Float.self)
        let gradients = try Operand(random.normal(total), Float.self)
        let first = try Operand(random.normal(total, scale: 0.1), Float.self)
        let second = try Operand(random.normal(total, scale: 0.1).map { $0 * $0 }, Float.self)
        let (rate, decay, scale, step) = (3e-3, 0.1, 0.25, 7)
        let correction1 = 1 - (1...step).reduce(1.0) { power, _ in power * 0.9 }
        let correction2 = 1 - (1...step).reduce(1.0) { power, _ in power * 0.95 }
        var expected = weights.values
        for i in margin..<margin + count {
            let g = gradients.values[i] * scale
            let m = 0.9 * first.values[i] + 0.1 * g
            let v = 0.95 * second.values[i] + 0.05 * g * g
            expected[i] *= 1 - rate * decay
            expected[i] -= rate * (m / correction1) / ((v / correction2).squareRoot() + 1e-8)
        }
        let range = margin..<margin + count
        let results = try onEachThreadCount("AdamW") { compute in
            let w = try Buffer<Float>(count: total)
            let m = try Buffer<Float>(count: total)
            let v = try Buffer<Float>(count: total)
            let copy = try Buffer<BFloat16>(count: total)
            w.set(weights.buffer.array())
            m.set(first.buffer.array())
            v.set(second.buffer.array())
            AdamWUpdate.apply(
                compute.pool, weights: w[range], gradients: gradients.buffer[range], firstMoments: m[range],
                secondMoments: v[range], copy: copy[range],
                coefficients(rate, decay: decay, step: step, gradientScale: scale))
            return ["weights": w.array(), "first": m.array(), "second": v.array(), "copy": copy.floats]
        }
        let updated = results["weights"] ?? []
        expectClose(updated, expected, relative: 3e-7, scaled: 1e-8, "weights")
        let (oldWeights, oldFirst) = (weights.buffer.array(), first.buffer.array())
        for i in 0..<total where !range.contains(i) {
            #expect(updated[i] == oldWeights[i])
            #expect(results["first"]?[i] == oldFirst[i])
        }
        let copies = updated.enumerated().map { range.contains($0.offset) ? BFloat16(rounding: $0.element).float : 0 }
        expectSame(results["copy"], copies, "copy for matmuls")
    }

    /// A weight that never had a gradient only decays; nothing is 0 / 0.
    @Test func zeroGradient() throws {
        let weights = try Operand([2, -3], Float.self)
        let zeros = { try Buffer<Float>(count: 2).all }
        AdamWUpdate.apply(
            try Compute(threadCount: 1).pool, weights: weights.all, gradients: try zeros(), firstMoments: try zeros(),
            secondMoments: try zeros(), copy: nil, coefficients(0.01, decay: 0.1, step: 1))
        expectClose(weights.buffer.array(), [2 * 0.999, -3 * 0.999], scaled: 1e-7, "decayed")
    }
}
