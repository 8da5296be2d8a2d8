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
