import Kernels
import TestSupport
import Testing

/// Muon's element-wise passes over a part of the arenas; nothing outside of it changes.
@Suite struct MuonUpdateTests {
    private static let margin = 16

    @Test(arguments: [1, 15, 37, 20_011]) func momentum(count: Int) throws {
        let range = Self.margin..<Self.margin + count
        let total = count + 2 * Self.margin
        var random = TestRandom(UInt64(count))
        let gradients = try Operand(random.normal(total), Float.self)
        let momentum = try Operand(random.normal(total), Float.self)
        let (decay, scale) = (0.9, 0.25)
        let results = try onEachThreadCount("momentum") { compute in
            let (g, b) = (try Buffer<Float>(count: total), try Buffer<Float>(count: total))
            g.set(gradients.buffer.array())
            b.set(momentum.buffer.array())
            MuonUpdate.accumulate(
                compute.pool, gradients: g[range], momentum: b[range], decay: decay, gradientScale: scale)
            return ["gradients": g.array(), "momentum": b.array()]
        }
        var (expected, update) = (momentum.values, gradients.values)
        for i in range {
            let g = gradients.values[i] * scale
            expected[i] = decay * expected[i] + (1 - decay) * g
            update[i] = decay * expected[i] + (1 - decay) * g
        }
        expectClose(results["momentum"], expected, scaled: 2e-7, "momentum")
        expectClose(results["gradients"], update, scaled: 2e-7, "update")
        for i in 0..<total where !range.contains(i) {
            #expect(results["momentum"]?[i] == momentum.buffer.array()[i])
            #expect(results["gradients"]?[i] == gradients.buffer.array()[i])
        }
    }

    @Test(arguments: [1, 15, 37, 20_011]) func step(count: Int) throws {
        let range = Self.margin..<Self.margin + count
        let total = count + 2 * Self.margin
        var random = TestRandom(UInt64(count))
        let weights = try Operand(random.normal(total), Float.self)
        let direction = try Operand(random.normal(total), Float.self)
        let results = try onEachThreadCount("step") { compute in
            let w = try Buffer<Float>(count: total)
            let copy = try Buffer<BFloat16>(count: total)
            w.set(weights.buffer.array())
            MuonUpdate.apply(
                compute.pool, weights: w[range], direction: direction.buffer[range], copy: copy[range],
                learningRate: 0.02, weightDecay: 3, stepSize: 0.05)
            return ["weights": w.array(), "copy": copy.floats]
        }
        var expected = weights.values
        for i in range { expected[i] = expected[i] * (1 - 0.02 * 3) - 0.05 * direction.values[i] }
        let updated = try #require(results["weights"])
        expectClose(updated, expected, scaled: 2e-7, "weights")
        for i in 0..<total where !range.contains(i) { #expect(updated[i] == weights.buffer.array()[i]) }
        let copies = updated.indices.map { range.contains($0) ? BFloat16(rounding: updated[$0]).float : 0 }
        expectSame(results["copy"], copies, "copy for matmuls")
    }
}
