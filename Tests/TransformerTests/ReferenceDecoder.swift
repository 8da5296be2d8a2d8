// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import Transformer

// T: tokens of a sequence, V: vocabulary, H, G: heads of queries and of keys and values, D: head size, I: inner size,
// R: columns of a head that turn.

/// A decoder's forward pass in plain loops of Double: one token after the other, nothing kept, nothing fused.
struct ReferenceDecoder {
    var configuration: DecoderConfiguration
    /// An arena as the model's.
    var weights: [Double]
    /// What dropout multiplies values by, by 4 · layer + place: [N, C], and for attention's weights [B, H, T, T]; where
    /// there is nothing, nothing is dropped.
    var factors: [Int: [Double]] = [:]
    enum DropoutPlace: Int { case embedding, attention, attentionBranch, mlpBranch }
    private let names: ReferenceNames
    private let places: [String: Range<Int>]

    init(_ configuration: DecoderConfiguration, _ layout: ParameterLayout, weights: [Double]) {
        self.configuration = configuration
        self.weights = weights
        names = ReferenceNames(configuration.architecture)
        places = Dictionary(uniqueKeysWithValues: layout.parameters.map { ($0.name, $0.range) })
    }

    /// The sum of the token losses over sequences of the context length.
    func loss(_ inputs: [Int32], _ targets: [Int32]) -> Double {
        let T = configuration.contextLength
        return stride(from: 0, to: inputs.count, by: T).reduce(0) { sum, start in
            let rows = logits(Array(inputs[start..<start + T]), sequence: start / T)
            return zip(rows, targets[start..<start + T]).reduce(sum) { sum, pair in
                let largest = pair.0.max() ?? 0
                return sum + log(pair.0.reduce(0) { $0 + exp($1 - largest) }) + largest - pair.0[Int(pair.1)]
            }
        }
    }

    /// [T][V] of one sequence, which is the micro-batch's of this number. `observe` sees every activation under the name
    /// that the model's observer gives it.
    func logits(
        _ tokens: [Int32], sequence: Int = 0, observe: (_ layer: String, [[Double]]) -> Void = { _, _ in }
    ) -> [[Double]] {
        func seen(_ layer: String, _ values: [[Double]]) -> [[Double]] {
            observe(layer, values)
            return values
        }
        var x = seen("embedding", embedded(tokens, sequence))
        for layer in 0..<configuration.layerCount {
            let block = "\(names.block)\(layer)."
            let start = x
            let normed = seen(block + names.norm1, norm(x, block + names.norm1))
            let qkv = joined(normed, block, names.queryKeyValue, hasBias: configuration.hasQueryKeyValueBias)
            let placed = seen(block + names.queryKeyValue.label, place(qkv, block))
            let mixed = seen(block + names.attention, attention(placed, layer, sequence))
            let projection = block + names.attentionProjection
            let first = linear(mixed, projection, hasBias: configuration.hasProjectionBias)
            x = sum(x, seen(projection, dropped(first, .attentionBranch, layer, sequence)))

            let read = configuration.hasParallelResidual ? start : x
            let again = seen(block + names.norm2, norm(read, block + names.norm2))
            let group = configuration.isGated ? names.gateAndUp : names.up
            let hidden = seen(
                block + group.label, joined(again, block, group, hasBias: configuration.hasMLPBias))
            let down = block + names.down
            let second = linear(hidden.map(activated), down, hasBias: configuration.hasMLPBias)
            x = sum(x, seen(down, dropped(second, .mlpBranch, layer, sequence)))
        }
        let head = configuration.hasTiedHead ? names.base + names.tokenEmbedding : names.head
        return product(seen(names.finalNorm, norm(x, names.finalNorm)), tensor(head + ".weight")).map { row in
            guard let cap = configuration.logitSoftCap else { return row }
            return row.map { cap * tanh($0 / cap) }
        }
    }

    private func embedded(_ tokens: [Int32], _ sequence: Int) -> [[Double]] {
        let C = configuration.embeddingSize
        func row(_ name: String, _ index: Int) -> [Double] {
            Array(tensor(names.base + name + ".weight")[index * C..<(index + 1) * C])
        }
        var x = tokens.map { row(names.tokenEmbedding, Int($0)) }
        if configuration.positions == .learned { x = sum(x, tokens.indices.map { row(names.positionEmbedding, $0) }) }
        x = dropped(x, .embedding, 0, sequence)
        return configuration.normalizesEmbedding ? x.map { rootMeanSquareNorm($0) } : x
    }

    private func dropped(_ rows: [[Double]], _ place: DropoutPlace, _ layer: Int, _ sequence: Int) -> [[Double]] {
        guard let factors = factors[4 * layer + place.rawValue] else { return rows }
        return rows.enumerated().map { t, row in
            let start = (sequence * rows.count + t) * row.count
            return row.indices.map { row[$0] * factors[start + $0] }
        }
    }

    // MARK: Attention

    private enum Part: Int { case query, key, value }

    /// The first column of a head's query, key or value.
    private func column(_ part: Part, _ head: Int) -> Int {
        let (H, G, D) = (configuration.headCount, configuration.keyValueHeadCount, configuration.headSize)
        if configuration.interleavesHeads { return (3 * head + part.rawValue) * D }
        return switch part {
        case .query: head * D
        case .key: (H + head) * D
        case .value: (H + G + head) * D
        }
    }

    /// Queries and keys after their norms, turned by their positions.
    private func place(_ rows: [[Double]], _ block: String) -> [[Double]] {
        let D = configuration.headSize
        let heads = [(Part.query, configuration.headCount), (.key, configuration.keyValueHeadCount)]
        let isWeighted = configuration.normalizesHeads && configuration.norm.hasWeight
        return rows.enumerated().map { position, row in
            var row = row
            for (part, count) in heads {
                let weight =
                    isWeighted ? tensor(names.base + block + names.headNorms[part.rawValue] + ".weight") : nil
                for head in 0..<count {
                    let columns = column(part, head)..<column(part, head) + D
                    var values = Array(row[columns])
                    if configuration.normalizesHeads { values = rootMeanSquareNorm(values, weight) }
                    row.replaceSubrange(columns, with: turned(values, position))
                }
            }
            return row
        }
    }

    /// Columns j and j + R / 2 of a head, turned by the position times the pair's frequency.
    private func turned(_ head: [Double], _ position: Int) -> [Double] {
        guard let rotary = configuration.positions.rotary else { return head }
        var turned = head
        for (j, frequency) in rotary.frequencies.enumerated() {
            let angle = Double(position) * Double(frequency)
            let (a, b) = (head[j], head[j + rotary.rotatedSize / 2])
            turned[j] = a * cos(angle) - b * sin(angle)
            turned[j + rotary.rotatedSize / 2] = b * cos(angle) + a * sin(angle)
        }
        return turned
    }

    private func attention(_ qkv: [[Double]], _ layer: Int, _ sequence: Int) -> [[Double]] {
        let (H, G, D) = (configuration.headCount, configuration.keyValueHeadCount, configuration.headSize)
        let factors = factors[4 * layer + DropoutPlace.attention.rawValue]
        let divisor =
            (configuration.scalesAttention ? Double(D).squareRoot() : 1)
            * (configuration.scalesAttentionByLayer ? Double(layer + 1) : 1)
        return qkv.indices.map { t in
            var output = [Double](repeating: 0, count: H * D)
            for head in 0..<H {
                let q = column(.query, head)
                let k = column(.key, head / (H / G))
                let v = column(.value, head / (H / G))
                let scores = (0...t).map { s in
                    (0..<D).reduce(0) { $0 + qkv[t][q + $1] * qkv[s][k + $1] } / divisor
                }
                let largest = scores.max() ?? 0
                let powers = scores.map { exp($0 - largest) }
                let total = powers.reduce(0, +)
                let row = ((sequence * H + head) * qkv.count + t) * qkv.count
                for s in 0...t {
                    let weight = powers[s] / total * (factors?[row + s] ?? 1)
                    for i in 0..<D { output[head * D + i] += weight * qkv[s][v + i] }
                }
            }
            return output
        }
    }

    // MARK: MLP

    /// A row [I] from one of the hidden layer; of a gated one [2I], the gate first.
    private func activated(_ row: [Double]) -> [Double] {
        let I = configuration.innerSize
        return (0..<I).map { i in activation(row[i]) * (configuration.isGated ? row[I + i] : 1) }
    }

    private func activation(_ x: Double) -> Double {
        switch configuration.activation {
        case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
        case .geluNew, .geluTanh, .geluFast:
            0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .relu: max(0, x)
        case .silu: x / (1 + exp(-x))
        case .reluSquared: max(0, x) * max(0, x)
        }
    }

    // MARK: Parts of all

    private func norm(_ rows: [[Double]], _ name: String) -> [[Double]] {
        let weight = configuration.norm.hasWeight ? tensor(names.base + name + ".weight") : nil
        guard configuration.norm == .layerNorm else { return rows.map { rootMeanSquareNorm($0, weight) } }
        let bias = tensor(names.base + name + ".bias")
        return rows.map { x in
            let mean = x.reduce(0, +) / Double(x.count)
            let normed = rootMeanSquareNorm(x.map { $0 - mean }, weight)
            return zip(normed, bias).map { $0 + $1 }
        }
    }

    private func rootMeanSquareNorm(_ x: [Double], _ weight: [Double]? = nil) -> [Double] {
        let square = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
        let root = (square + configuration.normEpsilon).squareRoot()
        return x.indices.map { x[$0] / root * (weight?[$0] ?? 1) }
    }

    /// The outputs of layers with one input, side by side.
    private func joined(
        _ rows: [[Double]], _ block: String, _ group: ReferenceNames.Group, hasBias: Bool
    ) -> [[Double]] {
        let outputs = group.parts.map { linear(rows, block + $0, hasBias: hasBias) }
        return rows.indices.map { row in outputs.flatMap { $0[row] } }
    }

    private func linear(_ rows: [[Double]], _ name: String, hasBias: Bool) -> [[Double]] {
        let y = product(rows, tensor(names.base + name + ".weight"), isInputMajor: names.isInputMajor)
        guard hasBias else { return y }
        let bias = tensor(names.base + name + ".bias")
        return y.map { zip($0, bias).map { $0 + $1 } }
    }

    /// Rows times weights that are stored [out, in] or [in, out].
    private func product(_ rows: [[Double]], _ weight: [Double], isInputMajor: Bool = false) -> [[Double]] {
        rows.map { x in
            let outputs = weight.count / x.count
            return (0..<outputs).map { j in
                x.indices.reduce(0) { $0 + x[$1] * weight[isInputMajor ? $1 * outputs + j : j * x.count + $1] }
            }
        }
    }

    private func sum(_ x: [[Double]], _ y: [[Double]]) -> [[Double]] {
        zip(x, y).map { row, added in zip(row, added).map { $0 + $1 } }
    }

    private func tensor(_ name: String) -> [Double] {
        guard let place = places[name] else { preconditionFailure("no tensor \(name)") }
        return Array(weights[place])
    }
}
