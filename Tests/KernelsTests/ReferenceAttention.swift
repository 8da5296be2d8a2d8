// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels

/// Attention over whole T × T matrices, one sequence and head at a time.
struct ReferenceAttention {
    let sequences: Int
    let context: Int
    let columns: HeadColumns
    /// What scores are multiplied by.
    private let factor: Double
    private let heads: Int
    private let headSize: Int
    private let groupSize: Int
    /// Columns of the output.
    private let width: Int

    /// - Parameter scale: what scores are multiplied by, where it is not the root of the head size that divides them.
    init(sequences: Int, context: Int, columns: HeadColumns, scale: Double? = nil) {
        self.sequences = sequences
        self.context = context
        self.columns = columns
        heads = columns.heads
        headSize = columns.headSize
        groupSize = columns.heads / columns.keyValueHeads
        width = columns.heads * columns.headSize
        factor = scale ?? 1 / Double(columns.headSize).squareRoot()
    }

    struct Forward {
        var output: [Double]
        var logSumExp: [Double]
        /// [B, H, T, T].
        var probabilities: [Double]
    }

    /// The place in `qkv` of element d of the q (0), k (1) or v (2) that head h works with.
    private func place(_ part: Int, _ b: Int, _ h: Int, _ t: Int, _ d: Int) -> Int {
        let column =
            switch part {
            case 0: columns.query(h)
            case 1: columns.key(h / groupSize)
            default: columns.value(h / groupSize)
            }
        return (b * context + t) * columns.width + column + d
    }

    /// The places in `qkv` of all elements of q (0), k (1) or v (2), each once.
    func places(_ part: Int) -> [Int] {
        (0..<sequences * context).flatMap { row in
            // Of a group's heads, the first stands for its keys and values.
            stride(from: 0, to: heads, by: part == 0 ? 1 : groupSize).flatMap { h in
                (0..<headSize).map { place(part, row / context, h, row % context, $0) }
            }
        }
    }

    func forward(_ qkv: [Double]) -> Forward {
        let T = context
        var result = Forward(
            output: [Double](repeating: 0, count: sequences * T * width), logSumExp: [],
            probabilities: [Double](repeating: 0, count: sequences * heads * T * T))
        for b in 0..<sequences {
            for h in 0..<heads {
                for t in 0..<T {
                    var scores = [Double](repeating: 0, count: t + 1)
                    for s in 0...t {
                        for d in 0..<headSize { scores[s] += qkv[place(0, b, h, t, d)] * qkv[place(1, b, h, s, d)] }
                        scores[s] *= factor
                    }
                    let largest = scores.max() ?? 0
                    let total = scores.reduce(0) { $0 + exp($1 - largest) }
                    result.logSumExp.append(log(total) + largest)
                    for s in 0...t {
                        let p = exp(scores[s] - largest) / total
                        result.probabilities[((b * heads + h) * T + t) * T + s] = p
                        for d in 0..<headSize {
                            result.output[(b * T + t) * width + h * headSize + d] += p * qkv[place(2, b, h, s, d)]
                        }
                    }
                }
            }
        }
        return result
    }

    /// A kernel's result, and what its own roundings may do to it.
    struct Rounded {
        var values: [Double]
        /// For each element, the squares of the terms that were rounded once to bf16 before they were added up.
        var squares: [Double]
        /// For each element, the terms' magnitudes, of which fp32 loses its share.
        var magnitudes: [Double]
        /// For the elements of q, k and v each (or one number for all): the variance of Σ error · value, in units
        /// of one rounding's. A rounded term is part of many elements, so their errors are not independent.
        var scales: [Double] = []
    }

    /// The output, of which the probabilities were rounded.
    func roundedOutput(_ qkv: [Double], _ forward: Forward) -> Rounded {
        var result = Rounded(
            values: forward.output, squares: forward.output.map { $0 * $0 },
            magnitudes: forward.output.map(\.magnitude), scales: [forward.output.reduce(0) { $0 + $1 * $1 * $1 * $1 }])
        for b in 0..<sequences {
            for h in 0..<heads {
                for t in 0..<context {
                    for s in 0...t {
                        let p = forward.probabilities[((b * heads + h) * context + t) * context + s]
                        var sum = 0.0
                        for d in 0..<headSize {
                            let place = (b * context + t) * width + h * headSize + d
                            let term = p * qkv[self.place(2, b, h, s, d)]
                            result.squares[place] += term * term
                            result.magnitudes[place] += term.magnitude
                            sum += term * forward.output[place]
                        }
                        result.scales[0] += sum * sum
                    }
                }
            }
        }
        return result
    }

    /// The gradient of `qkv` from an output that was rounded, as the kernel's was. Probabilities and score gradients are
    /// rounded before they are used, and the result, of which shared keys and values have the sum over their heads.
    func backward(
        _ qkv: [Double], _ forward: Forward, output: [Double], outputGradient: [Double]
    ) -> Rounded {
        let T = context
        let zeros = [Double](repeating: 0, count: qkv.count)
        var result = Rounded(values: zeros, squares: zeros, magnitudes: zeros, scales: [0, 0, 0])
        var scoreGradients = [Double](repeating: 0, count: forward.probabilities.count)
        func add(_ term: Double, _ magnitude: Double, at place: Int) {
            result.values[place] += term
            result.squares[place] += term * term
            result.magnitudes[place] += magnitude
        }
        func forEach(_ body: (_ b: Int, _ h: Int, _ t: Int, _ row: Int, _ dy: Int) -> Void) {
            for b in 0..<sequences {
                for h in 0..<heads {
                    for t in 0..<T { body(b, h, t, ((b * heads + h) * T + t) * T, (b * T + t) * width + h * headSize) }
                }
            }
        }
        forEach { b, h, t, row, dy in
            var mean = (sum: 0.0, magnitude: 0.0)
            for d in 0..<headSize {
                let term = outputGradient[dy + d] * output[dy + d]
                mean.sum += term
                mean.magnitude += term.magnitude
            }
            for s in 0...t {
                // Of the probability, then of the score.
                var gradient = (sum: 0.0, magnitude: 0.0)
                let p = forward.probabilities[row + s]
                for d in 0..<headSize {
                    let term = outputGradient[dy + d] * qkv[place(2, b, h, s, d)]
                    gradient.sum += term
                    gradient.magnitude += term.magnitude
                    add(p * outputGradient[dy + d], (p * outputGradient[dy + d]).magnitude, at: place(2, b, h, s, d))
                }
                let root = 1 / factor
                let ds = p * (gradient.sum - mean.sum) / root
                let magnitude = p * (gradient.magnitude + mean.magnitude) / root
                scoreGradients[row + s] = ds
                for d in 0..<headSize {
                    let (q, k) = (qkv[place(0, b, h, t, d)], qkv[place(1, b, h, s, d)])
                    add(ds * k, magnitude * k.magnitude, at: place(0, b, h, t, d))
                    add(ds * q, magnitude * q.magnitude, at: place(1, b, h, s, d))
                }
            }
        }
        // The result is rounded too.
        for i in result.values.indices { result.squares[i] += result.values[i] * result.values[i] }
        for part in 0..<3 {
            for i in places(part) {
                let square = result.values[i] * result.values[i]
                result.scales[part] += square * square
            }
        }
        forEach { b, h, t, row, dy in
            for s in 0...t {
                var sums = (q: 0.0, k: 0.0, v: 0.0)
                for d in 0..<headSize {
                    sums.q += qkv[place(1, b, h, s, d)] * result.values[place(0, b, h, t, d)]
                    sums.k += qkv[place(0, b, h, t, d)] * result.values[place(1, b, h, s, d)]
                    sums.v += outputGradient[dy + d] * result.values[place(2, b, h, s, d)]
                }
                let (ds, p) = (scoreGradients[row + s], forward.probabilities[row + s])
                result.scales[0] += ds * ds * sums.q * sums.q
                result.scales[1] += ds * ds * sums.k * sums.k
                result.scales[2] += p * p * sums.v * sums.v
            }
        }
        return result
    }
}
