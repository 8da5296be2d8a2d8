// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation

/// Attention over whole T × T matrices, one sequence and head at a time.
struct ReferenceAttention {
    var sequences: Int
    var context: Int
    var heads: Int
    var headSize: Int

    struct Forward {
        var output: [Double]
        var logSumExp: [Double]
        /// [B, H, T, T].
        var probabilities: [Double]
    }

    private var width: Int { heads * headSize }

    /// The place of element d of q (0), k (1) or v (2) in `qkv`.
    private func place(_ part: Int, _ b: Int, _ h: Int, _ t: Int, _ d: Int) -> Int {
        (b * context + t) * 3 * width + part * width + h * headSize + d
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
                        scores[s] /= Double(headSize).squareRoot()
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

    /// The gradient of `qkv`.
    func backward(_ qkv: [Double], _ forward: Forward, outputGradient: [Double]) -> [Double] {
        let T = context
        var result = [Double](repeating: 0, count: qkv.count)
        for b in 0..<sequences {
            for h in 0..<heads {
                for t in 0..<T {
                    let row = ((b * heads + h) * T + t) * T
                    let dy = (b * T + t) * width + h * headSize
                    // Of the probabilities, then of the scores.
                    var gradient = [Double](repeating: 0, count: t + 1)
                    var mean = 0.0
                    for s in 0...t {
                        let p = forward.probabilities[row + s]
                        for d in 0..<headSize {
                            gradient[s] += outputGradient[dy + d] * qkv[place(2, b, h, s, d)]
                            result[place(2, b, h, s, d)] += p * outputGradient[dy + d]
                        }
                        mean += p * gradient[s]
                    }
                    for s in 0...t {
                        let ds = forward.probabilities[row + s] * (gradient[s] - mean) / Double(headSize).squareRoot()
                        for d in 0..<headSize {
                            result[place(0, b, h, t, d)] += ds * qkv[place(1, b, h, s, d)]
                            result[place(1, b, h, s, d)] += ds * qkv[place(0, b, h, t, d)]
                        }
                    }
                }
            }
        }
        return result
    }
}
