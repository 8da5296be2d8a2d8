import Foundation
import Kernels
import Testing

/// The tests are compiled for any CPU, so `exponential` is built here on the plain C that stands in for AVX-512. That
/// the instructions do the same, the softmax of `CrossEntropyTests` shows.
@Suite struct VectorMathTests {
    private func powers(_ x: [Float]) -> [Float] {
        stride(from: 0, to: x.count, by: 16).flatMap { start in
            var lanes = SIMD16<Float>()
            for i in 0..<min(16, x.count - start) { lanes[i] = x[start + i] }
            let result = exponential(lanes)
            return (0..<min(16, x.count - start)).map { result[$0] }
        }
    }

    /// 490,000 points from −87 to 88, most of them near zero: the error of 2^x and half a ULP of x · log₂ e.
    @Test func exponentialAccuracy() {
        let wide = stride(from: Float(-87), through: 88, by: 0x1p-11).map { $0 }
        let narrow = stride(from: Float(-1), through: 1, by: 0x1p-16).map { $0 * 0.7 }
        let x = wide + narrow
        var worst = (excess: -Double.infinity, at: Float(0))
        for (x, y) in zip(x, powers(x)) {
            let error = (Double(y) / exp(Double(x)) - 1).magnitude
            let excess = error - 2e-7 - 0x1p-24 * Double(x.magnitude) * 1.25
            if !(excess <= worst.excess) { worst = (excess, x) }
        }
        #expect(worst.excess < 0, "\(worst.excess) too much at \(worst.at)")
    }

    @Test func exponentialAtTheEnds() {
        let y = powers([0, -0.0, -88, -1e6, -.infinity, 89, 1e6, .infinity, .nan])
        #expect(y[0] == 1)
        #expect(y[1] == 1)
        #expect(y[2...4].allSatisfy { $0 >= 0 && $0 < 1.7e-38 })
        #expect(y[4] == 0)
        #expect(y[5...7].allSatisfy { $0 == .infinity })
        #expect(y[8].isNaN)
    }
}

@Suite struct HyperbolicTangentTests {
    private func check(_ x: [Float], sourceLocation: SourceLocation = #_sourceLocation) {
        var worst = (value: 0.0, slope: 0.0)
        for start in stride(from: 0, to: x.count, by: 16) {
            var lanes = SIMD16<Float>()
            let count = min(16, x.count - start)
            for i in 0..<count { lanes[i] = x[start + i] }
            let (value, slope) = hyperbolicTangent(lanes)
            for i in 0..<count where lanes[i] != 0 {
                let exact = (tanh(Double(lanes[i])), pow(cosh(Double(lanes[i])), -2))
                let errors = ((Double(value[i]) / exact.0 - 1).magnitude, (Double(slope[i]) / exact.1 - 1).magnitude)
                // Written so that a NaN is the worst.
                if !(errors.0 <= worst.value) { worst.value = errors.0 }
                if !(errors.1 <= worst.slope) { worst.slope = errors.1 }
            }
        }
        #expect(worst.value < 1e-6, "value", sourceLocation: sourceLocation)
        #expect(worst.slope < 2e-6, "slope", sourceLocation: sourceLocation)
    }

    /// Also where e^(2x) − 1 would have no digits left.
    @Test func accuracy() {
        check(stride(from: Float(-10), through: 10, by: 0x1p-11).map { $0 })
        check(stride(from: Float(-0.6), through: 0.6, by: 0x1p-16).map { $0 })
        check((0..<400).map { Float(exp(-Double($0) / 5)) })
    }

    @Test func ends() {
        var lanes = SIMD16<Float>()
        for (i, x) in [0, -.infinity, .infinity, -1e30, 1e30, .nan].enumerated() { lanes[i] = Float(x) }
        let (value, slope) = hyperbolicTangent(lanes)
        #expect((0..<5).map { value[$0] } == [0, -1, 1, -1, 1])
        #expect(slope[0] == 1 && (1..<5).allSatisfy { (0..<1e-17).contains(slope[$0]) })
        #expect(value[5].isNaN && slope[5].isNaN)
    }
}

@Suite struct SquareRootTests {
    /// Exponents from the smallest normal number to the largest, and zero.
    @Test func withinOneULP() {
        var worst = 0.0
        for exponent in -126...127 {
            for step in 0..<64 {
                var x = SIMD16<Float>()
                for lane in 0..<16 {
                    x[lane] = Float(sign: .plus, exponent: exponent, significand: 1 + Float(step * 16 + lane) / 1024)
                }
                let roots = squareRoot(x)
                for lane in 0..<16 {
                    let exact = Double(x[lane]).squareRoot()
                    worst = max(worst, abs(Double(roots[lane]) - exact) / Double(Float(exact).ulp))
                }
            }
        }
        #expect(worst <= 1, "\(worst) ULP")
        #expect(squareRoot(SIMD16<Float>()) == SIMD16<Float>())
        // Below the normal numbers it may lose digits, but not its way.
        #expect(squareRoot(SIMD16<Float>(repeating: .leastNonzeroMagnitude))[0] < 1e-20)
    }
}
