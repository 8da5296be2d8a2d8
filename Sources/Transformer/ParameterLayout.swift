/// Where each tensor lies in the flat arenas of weights, gradients and moments.
///
/// Tensors stand in forward order under Hugging Face's names and in its layout: weights of linear layers are
/// [in, out]. The backward pass completes the gradients from the end to the start, the token embedding (offset 0)
/// last. Tensors start on multiples of 16 elements; the elements between them are zero for ever.
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

        /// Number of elements.
        package var count: Int { shape.reduce(1, *) }
        /// The tensor's elements in the arenas.
        package var range: Range<Int> { offset..<offset + count }
        /// Whether weight decay applies: to tensors of two or more dimensions.
        package var decays: Bool { shape.count >= 2 }
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
    /// The tensors of the model by role.
    let tokenEmbedding: Int
    let positionEmbedding: Int
    let blocks: [Block]
    let finalNorm: Slots
    /// The token embedding where the head is tied to it.
    let head: Int

    /// Indices into `parameters`.
    struct Slots: Sendable, Equatable {
        let weight: Int
        let bias: Int
    }

    struct Block: Sendable, Equatable {
        let norm1, queryKeyValue, attentionProjection, norm2, expansion, contraction: Slots
    }

    /// The layout of a model of this shape.
    package init(_ configuration: GPTConfiguration) {
        let (c, inner) = (configuration.embeddingSize, configuration.innerSize)
        // GPT-2 scales what is added to the residual stream by the number of additions.
        let residual = 0.02 / (2 * Float(configuration.layerCount)).squareRoot()
        var parameters: [Parameter] = []
        var end = 0
        func add(_ name: String, _ shape: [Int], _ initialization: Initialization) -> Int {
            parameters.append(Parameter(name: name, shape: shape, offset: end, initialization: initialization))
            end += (shape.reduce(1, *) + 15) / 16 * 16
            return parameters.count - 1
        }
        func norm(_ name: String) -> Slots {
            Slots(weight: add(name + ".weight", [c], .ones), bias: add(name + ".bias", [c], .zeros))
        }
        func linear(_ name: String, _ input: Int, _ output: Int, _ deviation: Float) -> Slots {
            Slots(
                weight: add(name + ".weight", [input, output], .normal(standardDeviation: deviation)),
                bias: add(name + ".bias", [output], .zeros))
        }
        tokenEmbedding = add(
            "transformer.wte.weight", [configuration.vocabularySize, c], .normal(standardDeviation: 0.02))
        positionEmbedding = add(
            "transformer.wpe.weight", [configuration.contextLength, c], .normal(standardDeviation: 0.02))
        blocks = (0..<configuration.layerCount).map { layer in
            let h = "transformer.h.\(layer)"
            return Block(
                norm1: norm("\(h).ln_1"),
                queryKeyValue: linear("\(h).attn.c_attn", c, 3 * c, 0.02),
                attentionProjection: linear("\(h).attn.c_proj", c, c, residual),
                norm2: norm("\(h).ln_2"),
                expansion: linear("\(h).mlp.c_fc", c, inner, 0.02),
                contraction: linear("\(h).mlp.c_proj", inner, c, residual))
        }
        finalNorm = norm("transformer.ln_f")
        head =
            configuration.hasTiedHead
            ? tokenEmbedding
            : add("lm_head.weight", [configuration.vocabularySize, c], .normal(standardDeviation: 0.02))
        self.parameters = parameters
        count = end
    }

    /// Neighbouring tensors that all decay or all do not, merged: AdamW runs once over each.
    package var decayRanges: [(range: Range<Int>, decays: Bool)] {
        var ranges: [(range: Range<Int>, decays: Bool)] = []
        for (index, parameter) in parameters.enumerated() {
            let end = index + 1 < parameters.count ? parameters[index + 1].offset : count
            if let last = ranges.last, last.decays == parameter.decays {
                ranges[ranges.count - 1].range = last.range.lowerBound..<end
            } else {
                ranges.append((parameter.offset..<end, parameter.decays))
            }
        }
        return ranges
    }
}
