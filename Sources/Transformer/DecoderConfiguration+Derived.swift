import Kernels

extension DecoderConfiguration {
    /// Where heads lie in a row of queries, keys and values.
    var headColumns: HeadColumns {
        interleavesHeads
            ? .interleaved(heads: headCount, headSize: headSize)
            : .sideBySide(heads: headCount, keyValueHeads: keyValueHeadCount, headSize: headSize)
    }

    /// Columns of queries, keys and values together: (H + 2G) · D.
    package var queryKeyValueWidth: Int { headColumns.width }
    /// Columns of the heads' outputs: H · D.
    package var attentionWidth: Int { headCount * headSize }
    /// Columns of the MLP's first product: I, and twice that where it is gated.
    package var expansionWidth: Int { (isGated ? 2 : 1) * innerSize }

    /// What the scores of a layer, from 0, are multiplied by.
    package func attentionScale(layer: Int) -> Float {
        let scale = scalesAttention ? 1 / Float(headSize).squareRoot() : 1
        return scalesAttentionByLayer ? scale / Float(layer + 1) : scale
    }

    /// What is otherwise than in GPT-2, in words, but the family's name.
    package var differences: [String] {
        let norms: [NormKind: String] = [.rms: "RMSNorm", .plainRMS: "RMSNorm without weights"]
        return [
            keyValueHeadCount == headCount ? nil : "key/value heads \(keyValueHeadCount)",
            headSize * headCount == embeddingSize ? nil : "head size \(headSize)",
            innerSize == 4 * embeddingSize ? nil : "inner \(innerSize)",
            activation == .geluNew ? nil : activation.rawValue, isGated ? "gated" : nil,
            biasWords, norms[norm], normEpsilon == 1e-5 ? nil : "epsilon \(normEpsilon)",
            positions.rotary?.words,
            positions.rotary.flatMap {
                $0.rotatedSize == headSize ? nil : "on \($0.rotatedSize) of \(headSize) columns"
            },
            normalizesHeads ? "norm on queries and keys" : nil, normalizesEmbedding ? "norm after embedding" : nil,
            hasParallelResidual ? "parallel residual" : nil, hasTiedHead ? nil : "own head",
            logitSoftCap.map { "soft-cap \($0)" }, scalesAttention ? nil : "scores not scaled",
            scalesAttentionByLayer ? "scores scaled by layer" : nil,
        ].compactMap(\.self)
    }

    /// Which layers have biases, where not all do.
    private var biasWords: String? {
        let biased = [
            hasQueryKeyValueBias ? "queries, keys and values" : nil, hasProjectionBias ? "attention's output" : nil,
            hasMLPBias ? "the MLP" : nil,
        ].compactMap(\.self)
        return biased.count == 3
            ? nil : biased.isEmpty ? "no biases" : "biases of \(biased.joined(separator: " and of ")) alone"
    }

    /// Number of parameters; a tied head has none of its own.
    package var parameterCount: Int {
        let c = embeddingSize
        let norms = (norm.hasWeight ? c : 0) + (norm.hasBias ? c : 0)
        let block =
            2 * norms + (c + (hasQueryKeyValueBias ? 1 : 0)) * queryKeyValueWidth
            + (normalizesHeads && norm.hasWeight ? 2 * headSize : 0) + attentionWidth * c + (hasProjectionBias ? c : 0)
            + (c + (hasMLPBias ? 1 : 0)) * expansionWidth + innerSize * c + (hasMLPBias ? c : 0)
        return (hasTiedHead ? 1 : 2) * vocabularySize * c + positionCount * c + layerCount * block + norms
    }

    /// Rows of an embedding of positions.
    var positionCount: Int { positions == .learned ? contextLength : 0 }

    /// Floating-point operations of forward and backward a token: 6 × parameters without those that are only looked up
    /// (positions, and tokens where the head is not tied) + 12 · layers · heads' width · context (nanoGPT's formula, after
    /// the PaLM paper's appendix B).
    package var flopsPerToken: Double {
        6 * Double(parameterCount - (positionCount + (hasTiedHead ? 0 : vocabularySize)) * embeddingSize)
            + 12 * Double(layerCount) * Double(attentionWidth) * Double(contextLength)
    }
}
