import Basics
import Glibc

/// Which part of a head is turned, and how fast.
package struct RotaryPositions: Equatable, Sendable {
    /// The base of the angles: pair j of R / 2 turns by θ^(−2j/R) a position.
    package var theta: Double
    /// Columns of a head that are turned, R, from its first; even.
    package var rotatedSize: Int
    package var scaling: Scaling

    package init(theta: Double, rotatedSize: Int, scaling: Scaling = .none) {
        (self.theta, self.rotatedSize, self.scaling) = (theta, rotatedSize, scaling)
    }

    /// How a model reads longer texts than it first learned on.
    package enum Scaling: Equatable, Sendable {
        case none
        /// All angles divided by a factor (Chen et al. 2023).
        case linear(factor: Double)
        /// Slow pairs divided by a factor, fast ones not, those between in part (Llama 3.1).
        case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Int)
    }

    package static let thetas = 1e-3...1e12

    /// Checks that it fits heads of a size.
    /// - Throws: `ExitError` (64) naming the value.
    package func validate(headSize: Int) throws(ExitError) {
        guard Self.thetas.contains(theta) else {
            throw ExitError(
                .usage,
                "rotary positions have base \(theta), expected a number from \(Self.thetas.lowerBound) to "
                    + "\(Self.thetas.upperBound)")
        }
        guard rotatedSize % 2 == 0, (2...max(2, headSize)).contains(rotatedSize), rotatedSize <= headSize else {
            throw ExitError(
                .usage,
                "rotary positions turn \(rotatedSize) columns of a head of \(headSize), expected an even number from 2 to "
                    + "\(headSize)")
        }
    }

    /// The angle of each pair a position, [R / 2], rounded as PyTorch's fp32 arithmetic in `transformers` rounds it.
    package var frequencies: [Float] {
        (0..<rotatedSize / 2).map { pair in
            let exponent = Float(2 * pair) / Float(rotatedSize)
            let frequency = 1 / Float(pow(theta, Double(exponent)))
            switch scaling {
            case .none: return frequency
            case .linear(let factor): return frequency / Float(factor)
            case .llama3(let factor, let low, let high, let original):
                // PyTorch divides a number by a tensor by the tensor's reciprocal; and Float.pi is rounded towards zero.
                let wavelength = 1 / frequency * Float(2 * Double.pi)
                let (longest, shortest) = (Float(Double(original) / low), Float(Double(original) / high))
                if wavelength > longest { return frequency / Float(factor) }
                if wavelength < shortest { return frequency }
                let smooth = (1 / wavelength * Float(original) - Float(low)) / Float(high - low)
                return (1 - smooth) * frequency / Float(factor) + smooth * frequency
            }
        }
    }

    /// In words, for people.
    var words: String {
        switch scaling {
        case .none: "rotary \(theta)"
        case .linear(let factor): "rotary \(theta) scaled by \(factor)"
        case .llama3(let factor, let low, let high, let original):
            "rotary \(theta) scaled by \(factor) as in Llama 3 (\(low) to \(high) of \(original))"
        }
    }
}
