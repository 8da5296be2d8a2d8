// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import Transformer

/// GPT-2's forward pass in plain loops of Double: one token after the other, nothing kept, nothing fused.
struct ReferenceGPT {
    let configuration: GPTConfiguration
    let layout: ParameterLayout
    /// An arena as the model's.
    var weights: [Double]

    init(_ configuration: GPTConfiguration, _ layout: ParameterLayout, weights: [Double]) {
        self.configuration = configuration
        self.layout = layout
        self.weights = weights
    }

    /// The sum of the token losses over sequences of the context length.
    func loss(_ inputs: [Int32], _ targets: [Int32]) -> Double {
        let T = configuration.contextLength
        return stride(from: 0, to: inputs.count, by: T).reduce(0) { sum, start in
            let rows = logits(Array(inputs[start..<start + T]))
            return zip(rows, targets[start..<start + T]).reduce(sum) { sum, pair in
                let largest = pair.0.max() ?? 0
                return sum + log(pair.0.reduce(0) { $0 + exp($1 - largest) }) + largest - pair.0[Int(pair.1)]
            }
        }
    }

    /// [T][V] of one sequence. `observe` sees every activation under the name that the model's observer gives it.
    func logits(_ tokens: [Int32], observe: (_ layer: String, [[Double]]) -> Void = { _, _ in }) -> [[Double]] {
        func seen(_ layer: String, _ values: [[Double]]) -> [[Double]] {
            observe(layer, values)
            return values
        }
        let c = configuration.embeddingSize
        let embedding = tensor("wte.weight")
        let positions = tensor("wpe.weight")
        let head = configuration.hasTiedHead ? embedding : tensor("lm_head.weight")
        var x = tokens.enumerated().map { place, token in
            (0..<c).map { embedding[Int(token) * c + $0] + positions[place * c + $0] }
        }
        observe("embedding", x)
        for layer in 0..<configuration.layerCount {
            let h = "h.\(layer)."
            let normed = seen(h + "ln_1", x.map { norm($0, h + "ln_1") })
            let qkv = seen(h + "attn.c_attn", normed.map { linear($0, h + "attn.c_attn") })
            let mixed = seen(h + "attn", attention(qkv, layer))
            let projected = seen(h + "attn.c_proj", mixed.map { linear($0, h + "attn.c_proj") })
            for t in x.indices { add(projected[t], to: &x[t]) }
            let again = seen(h + "ln_2", x.map { norm($0, h + "ln_2") })
            let hidden = seen(h + "mlp.c_fc", again.map { linear($0, h + "mlp.c_fc") }).map { row in
                row.map(activation)
            }
            let contracted = seen(h + "mlp.c_proj", hidden.map { linear($0, h + "mlp.c_proj") })
            for t in x.indices { add(contracted[t], to: &x[t]) }
        }
        return seen("ln_f", x.map { norm($0, "ln_f") }).map { y in
            (0..<configuration.vocabularySize).map { token in
                (0..<c).reduce(0) { $0 + y[$1] * head[token * c + $1] }
            }
        }
    }

    private func activation(_ x: Double) -> Double {
        switch configuration.activation {
        case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
        case .geluNew, .geluTanh, .geluFast:
            0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .relu: max(0, x)
        }
    }

    private func attention(_ qkv: [[Double]], _ layer: Int) -> [[Double]] {
        let c = configuration.embeddingSize
        let d = configuration.headSize
        let divisor =
            (configuration.scalesAttention ? Double(d).squareRoot() : 1)
            * (configuration.scalesAttentionByLayer ? Double(layer + 1) : 1)
        return qkv.indices.map { t in
            var output = [Double](repeating: 0, count: c)
            for head in 0..<configuration.headCount {
                let columns = head * d..<(head + 1) * d
                let scores = (0...t).map { s in
                    columns.reduce(0) { $0 + qkv[t][$1] * qkv[s][c + $1] } / divisor
                }
                let largest = scores.max() ?? 0
                let powers = scores.map { exp($0 - largest) }
                let total = powers.reduce(0, +)
                for s in 0...t { for i in columns { output[i] += powers[s] / total * qkv[s][2 * c + i] } }
            }
            return output
        }
    }

    private func norm(_ x: [Double], _ name: String) -> [Double] {
        let weight = tensor(name + ".weight")
        let bias = tensor(name + ".bias")
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
        return x.indices.map {
            (x[$0] - mean) / (variance + configuration.normEpsilon).squareRoot() * weight[weight.startIndex + $0]
                + bias[bias.startIndex + $0]
        }
    }

    private func linear(_ x: [Double], _ name: String) -> [Double] {
        let weight = tensor(name + ".weight")
        var y = tensor(name + ".bias")
        for i in x.indices { for j in y.indices { y[j] += x[i] * weight[i * y.count + j] } }
        return y
    }

    private func add(_ x: [Double], to y: inout [Double]) { for i in x.indices { y[i] += x[i] } }

    private func tensor(_ name: String) -> [Double] {
        for parameter in layout.parameters where parameter.name == "transformer." + name || parameter.name == name {
            return Array(weights[parameter.range])
        }
        preconditionFailure("no tensor \(name)")
    }
}
