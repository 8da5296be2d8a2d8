import Foundation
import Kernels

/// The kernels' mathematics in plain loops of Double, one loop a formula, nothing fused.
enum ReferenceKernels {
    struct NormForward {
        var sum: [Double]
        var output: [Double]
        var mean: [Double]
        var rstd: [Double]
    }

    static func layerNorm(
        residual: [Double], branch: [Double]?, weight: [Double], bias: [Double], rows: Int, columns: Int,
        epsilon: Double = 1e-5
    ) -> NormForward {
        var x = residual
        if let branch { for i in x.indices { x[i] += branch[i] } }
        var result = NormForward(sum: x, output: x, mean: [], rstd: [])
        for n in 0..<rows {
            let row = x[n * columns..<(n + 1) * columns]
            let mean = row.reduce(0, +) / Double(columns)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
            let rstd = 1 / (variance + epsilon).squareRoot()
            for c in 0..<columns {
                result.output[n * columns + c] = (x[n * columns + c] - mean) * rstd * weight[c] + bias[c]
            }
            result.mean.append(mean)
            result.rstd.append(rstd)
        }
        return result
    }

    struct NormBackward {
        var input: [Double]
        var weight: [Double]
        var bias: [Double]
    }

    static func layerNormBackward(
        outputGradient: [Double], x: [Double], weight: [Double], mean: [Double], rstd: [Double], rows: Int,
        columns: Int
    ) -> NormBackward {
        var result = NormBackward(
            input: x, weight: [Double](repeating: 0, count: columns), bias: [Double](repeating: 0, count: columns))
        for n in 0..<rows {
            var xhat = [Double](repeating: 0, count: columns)
            var gradient = xhat
            for c in 0..<columns {
                let dy = outputGradient[n * columns + c]
                xhat[c] = (x[n * columns + c] - mean[n]) * rstd[n]
                gradient[c] = dy * weight[c]
                result.weight[c] += dy * xhat[c]
                result.bias[c] += dy
            }
            let meanGradient = gradient.reduce(0, +) / Double(columns)
            let meanProduct = zip(gradient, xhat).reduce(0) { $0 + $1.0 * $1.1 } / Double(columns)
            for c in 0..<columns {
                result.input[n * columns + c] = (gradient[c] - meanGradient - xhat[c] * meanProduct) * rstd[n]
            }
        }
        return result
    }

    /// `x` [N, C] by its root mean square.
    static func rmsNorm(
        _ x: [Double], weight: [Double]?, columns: Int, epsilon: Double
    ) -> (output: [Double], rstd: [Double]) {
        var (output, rstds) = (x, [Double]())
        for n in 0..<x.count / columns {
            let squares = x[n * columns..<(n + 1) * columns].reduce(0) { $0 + $1 * $1 }
            let rstd = 1 / (squares / Double(columns) + epsilon).squareRoot()
            for c in 0..<columns { output[n * columns + c] = x[n * columns + c] * rstd * (weight?[c] ?? 1) }
            rstds.append(rstd)
        }
        return (output, rstds)
    }

    static func rmsNormBackward(
        outputGradient: [Double], x: [Double], weight: [Double]?, rstd: [Double], columns: Int
    ) -> (input: [Double], weight: [Double]) {
        var (input, weightGradient) = (x, [Double](repeating: 0, count: columns))
        for (n, rstd) in rstd.enumerated() {
            var product = 0.0
            for c in 0..<columns {
                let (dy, xhat) = (outputGradient[n * columns + c], x[n * columns + c] * rstd)
                weightGradient[c] += dy * xhat
                product += dy * (weight?[c] ?? 1) * xhat
            }
            for c in 0..<columns {
                let (dy, xhat) = (outputGradient[n * columns + c], x[n * columns + c] * rstd)
                input[n * columns + c] = (dy * (weight?[c] ?? 1) - xhat * product / Double(columns)) * rstd
            }
        }
        return (input, weightGradient)
    }

    static func activation(_ kind: Activation, _ x: Double) -> Double {
        switch kind {
        case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
        case .geluNew, .geluTanh, .geluFast:
            0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .relu: max(0, x)
        case .silu: x / (1 + exp(-x))
        case .reluSquared: max(0, x) * max(0, x)
        }
    }

    static func activationSlope(_ kind: Activation, _ x: Double) -> Double {
        switch kind {
        case .gelu: return 0.5 * erfc(-x / 2.0.squareRoot()) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
        case .geluNew, .geluTanh, .geluFast:
            let root = (2 / Double.pi).squareRoot()
            let t = tanh(root * (x + 0.044715 * x * x * x))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)
        case .relu: return x > 0 ? 1 : 0
        case .silu:
            let sigmoid = 1 / (1 + exp(-x))
            return sigmoid * (1 + x * (1 - sigmoid))
        case .reluSquared: return 2 * max(0, x)
        }
    }

    static func columnSums(_ x: [Double], columns: Int) -> [Double] {
        var sums = [Double](repeating: 0, count: columns)
        for (i, value) in x.enumerated() { sums[i % columns] += value }
        return sums
    }

    /// a[rows, inner] · b[inner, columns].
    static func matmul(_ a: [Double], _ b: [Double], rows: Int, inner: Int, columns: Int) -> [Double] {
        var c = [Double](repeating: 0, count: rows * columns)
        for m in 0..<rows {
            for k in 0..<inner {
                for n in 0..<columns { c[m * columns + n] += a[m * inner + k] * b[k * columns + n] }
            }
        }
        return c
    }

    static func transposed(_ a: [Double], rows: Int, columns: Int) -> [Double] {
        var result = a
        for m in 0..<rows { for n in 0..<columns { result[n * rows + m] = a[m * columns + n] } }
        return result
    }

    struct CrossEntropy {
        var losses: [Double]
        var gradient: [Double]
    }

    /// `logits` [R, V] without gaps.
    static func crossEntropy(
        logits uncapped: [Double], targets: [Int32], vocabulary: Int, softCap cap: Double? = nil
    ) -> CrossEntropy {
        let logits = cap.map { cap in uncapped.map { cap * tanh($0 / cap) } } ?? uncapped
        var result = CrossEntropy(losses: [], gradient: [])
        for (r, target) in targets.enumerated() {
            let row = logits[r * vocabulary..<(r + 1) * vocabulary]
            let largest = row.max() ?? 0
            let total = row.reduce(0) { $0 + exp($1 - largest) }
            result.losses.append(log(total) + largest - logits[r * vocabulary + Int(target)])
            for (v, x) in row.enumerated() {
                let slope = cap.map { 1 - (x / $0) * (x / $0) } ?? 1
                result.gradient.append(slope * (exp(x - largest) / total - (v == Int(target) ? 1 : 0)))
            }
        }
        return result
    }
}
