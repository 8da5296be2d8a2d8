/// Where each tensor lies in the flat arenas of weights, gradients and moments: the one table of a model's tensors.
///
/// Tensors stand in forward order under Hugging Face's names and in its layout. Those that are one operand of a matrix
/// product, such as separate queries, keys and values, lie side by side without gaps. The backward pass completes the
/// gradients from the end to the start, the token embedding (offset 0) last. Such groups start on multiples of 16 elements;
/// the elements between them are zero for ever.
package struct ParameterLayout: Sendable, Equatable {
    /// One tensor.
    package struct Parameter: Sendable, Equatable {
        /// Hugging Face's name, such as `transformer.h.0.attn.c_attn.weight`.
        package let name: String
        /// Rows and columns, or the length of a vector.
        package let shape: [Int]
        /// The first element's place in the arenas.
        package let offset: Int
        /// How its values are drawn for a new model.
        package let initialization: Initialization
        /// What the layer takes and gives where this is the matrix of a block's linear layer; nil for all other tensors.
        package let layer: LayerSize?

        /// Number of elements.
        package var count: Int { shape.reduce(1, *) }
        /// The tensor's elements in the arenas.
        package var range: Range<Int> { offset..<offset + count }
        /// Whether weight decay applies: to tensors of two or more dimensions.
        package var decays: Bool { shape.count >= 2 }
    }

    /// Columns that a linear layer takes and gives, whichever way its matrix is stored.
    package struct LayerSize: Sendable, Equatable {
        package let inputs, outputs: Int
    }

    /// How a tensor of a new model is filled.
    package enum Initialization: Sendable, Equatable {
        case zeros
        case ones
        case normal(standardDeviation: Float)
    }

    /// All tensors in arena order.
    package let parameters: [Parameter]
    /// Elements of an arena.
    package let count: Int

    // The model's parts, as places in the arenas.

    /// [V, C]
    let tokenEmbedding: Range<Int>
    /// [T, C]; nil where positions are not learned.
    let positionEmbedding: Range<Int>?
    let blocks: [Block]
    let finalNorm: Norm
    /// [V, C]: the token embedding where the head is tied to it.
    let head: Range<Int>

    /// A norm's weight and bias [C], where it has them.
    struct Norm: Sendable, Equatable {
        /// What the norm's activations are called.
        let label: String
        let start: Int
        let weight, bias: Range<Int>?
    }

    /// A linear layer, of one tensor or of several with one input.
    struct Linear: Sendable, Equatable {
        let label: String
        let start: Int
        let weight: Range<Int>
        let bias: Range<Int>?
    }

    struct Block: Sendable, Equatable {
        /// What attention's output is called.
        let attentionLabel: String
        let norm1: Norm
        let queryKeyValue: Linear
        /// [D] each, for the norms of queries and of keys, where they have weights.
        let queryNorm, keyNorm: Range<Int>?
        let attentionProjection: Linear
        let norm2: Norm
        let expansion, contraction: Linear
    }

    /// The layout of a model of this shape.
    package init(_ configuration: DecoderConfiguration) {
        var table = Table(configuration)
        let (c, names) = (configuration.embeddingSize, configuration.architecture.tensorNames)
        let embedding = ["\(names.base)\(names.tokenEmbedding).weight"]
        tokenEmbedding = table.add(embedding, [[configuration.vocabularySize, c]], table.embedding)
        positionEmbedding =
            configuration.positions == .learned
            ? table.add(
                ["\(names.base)\(names.positionEmbedding).weight"], [[configuration.contextLength, c]], table.embedding)
            : nil
        blocks = (0..<configuration.layerCount).map { table.addBlock($0) }
        finalNorm = table.norm(names.finalNorm)
        head =
            configuration.hasTiedHead
            ? tokenEmbedding
            : table.add(["\(names.head).weight"], [[configuration.vocabularySize, c]], table.embedding)
        parameters = table.parameters
        count = table.end
    }

    /// Neighbouring tensors that all decay or all do not, merged: AdamW runs once over each.
    package var decayRanges: [(range: Range<Int>, decays: Bool)] { decayRanges { _ in true } }

    /// The same of some tensors alone.
    package func decayRanges(where isWanted: (Parameter) -> Bool) -> [(range: Range<Int>, decays: Bool)] {
        var ranges: [(range: Range<Int>, decays: Bool)] = []
        for (index, parameter) in parameters.enumerated() where isWanted(parameter) {
            let end = index + 1 < parameters.count ? parameters[index + 1].offset : count
            if let last = ranges.last, last.decays == parameter.decays, last.range.upperBound == parameter.offset {
                ranges[ranges.count - 1].range = last.range.lowerBound..<end
            } else {
                ranges.append((parameter.offset..<end, parameter.decays))
            }
        }
        return ranges
    }
}

/// The tensors of a layout while they are added.
private struct Table {
    let configuration: DecoderConfiguration
    let names: TensorNames
    private(set) var parameters: [ParameterLayout.Parameter] = []
    private(set) var end = 0
    let embedding = ParameterLayout.Initialization.normal(standardDeviation: 0.02)
    /// Of matrices in general, and of those whose output is added to the residual stream.
    private let matrix, projection: ParameterLayout.Initialization

    init(_ configuration: DecoderConfiguration) {
        self.configuration = configuration
        names = configuration.architecture.tensorNames
        switch configuration.initialization {
        case .gpt2:
            matrix = .normal(standardDeviation: 0.02)
            // GPT-2 scales what is added to the residual stream by the number of additions.
            projection = .normal(standardDeviation: 0.02 / (2 * Float(configuration.layerCount)).squareRoot())
        case .plain:
            (matrix, projection) = (.normal(standardDeviation: 0.02), .normal(standardDeviation: 0.02))
        case .zeroProjections:
            matrix = .normal(standardDeviation: 1 / Float(configuration.embeddingSize).squareRoot())
            projection = .zeros
        }
    }

    /// Adds tensors that lie side by side, and returns their place.
    mutating func add(
        _ names: [String], _ shapes: [[Int]], _ initialization: ParameterLayout.Initialization,
        layers: [ParameterLayout.LayerSize] = []
    ) -> Range<Int> {
        let start = end
        for (index, (name, shape)) in zip(names, shapes).enumerated() {
            parameters.append(
                .init(
                    name: name, shape: shape, offset: end, initialization: initialization,
                    layer: layers.isEmpty ? nil : layers[index]))
            end += shape.reduce(1, *)
        }
        defer { end = (end + 15) / 16 * 16 }
        return start..<end
    }

    mutating func norm(_ name: String) -> ParameterLayout.Norm {
        let (kind, full, start) = (configuration.norm, names.base + name, end)
        func vector(_ suffix: String, _ value: ParameterLayout.Initialization) -> Range<Int> {
            add([full + suffix], [[configuration.embeddingSize]], value)
        }
        return ParameterLayout.Norm(
            label: name, start: start, weight: kind.hasWeight ? vector(".weight", .ones) : nil,
            bias: kind.hasBias ? vector(".bias", .zeros) : nil)
    }

    /// A linear layer of tensors that have one input.
    private mutating func linear(
        _ block: String, _ parts: [(name: String, outputs: Int)], inputs: Int, hasBias: Bool,
        _ initialization: ParameterLayout.Initialization
    ) -> ParameterLayout.Linear {
        let start = end
        let weight = add(
            parts.map { names.base + block + $0.name + ".weight" },
            parts.map { names.isInputMajor ? [inputs, $0.outputs] : [$0.outputs, inputs] }, initialization,
            layers: parts.map { ParameterLayout.LayerSize(inputs: inputs, outputs: $0.outputs) })
        let bias =
            hasBias
            ? add(parts.map { names.base + block + $0.name + ".bias" }, parts.map { [$0.outputs] }, .zeros) : nil
        // Of self_attn.q_proj, self_attn.k_proj and self_attn.v_proj: self_attn.q_proj+k_proj+v_proj.
        let last = parts.dropFirst().map { "+" + ($0.name.split(separator: ".").last ?? "") }.joined()
        return ParameterLayout.Linear(label: block + parts[0].name + last, start: start, weight: weight, bias: bias)
    }

    mutating func addBlock(_ layer: Int) -> ParameterLayout.Block {
        let block = "\(names.block)\(layer)."
        let (c, inner) = (configuration.embeddingSize, configuration.innerSize)
        let norm1 = norm(block + names.norm1)
        let heads = [configuration.headCount, configuration.keyValueHeadCount, configuration.keyValueHeadCount]
        let isWhole = names.queryKeyValue.count == 1
        let queryKeyValue = linear(
            block,
            isWhole
                ? [(names.queryKeyValue[0], configuration.queryKeyValueWidth)]
                : zip(names.queryKeyValue, heads).map { ($0, $1 * configuration.headSize) },
            inputs: c, hasBias: configuration.hasQueryKeyValueBias, matrix)
        let headNorms =
            configuration.normalizesHeads && configuration.norm.hasWeight
            ? names.headNorms.map { add([names.base + block + $0 + ".weight"], [[configuration.headSize]], .ones) } : []
        return ParameterLayout.Block(
            attentionLabel: block + (names.attentionProjection.split(separator: ".").first ?? ""), norm1: norm1,
            queryKeyValue: queryKeyValue, queryNorm: headNorms.first, keyNorm: headNorms.last,
            attentionProjection: linear(
                block, [(names.attentionProjection, c)], inputs: configuration.attentionWidth,
                hasBias: configuration.hasProjectionBias, projection),
            norm2: norm(block + names.norm2),
            expansion: linear(
                block, (configuration.isGated ? [names.gate, names.up] : [names.up]).map { ($0, inner) }, inputs: c,
                hasBias: configuration.hasMLPBias, matrix),
            contraction: linear(
                block, [(names.down, c)], inputs: inner, hasBias: configuration.hasMLPBias, projection))
    }
}
