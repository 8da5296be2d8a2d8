import Kernels

// N: rows, C: embedding size; see Decoder.swift.

extension Decoder {
    /// From tokens to the final norm's output in `activations.normed`.
    /// - Parameters:
    ///   - start: the position of the sequences' first tokens.
    ///   - attend: puts the attention of a layer's `queryKeyValue` into its block's `attention`.
    func forwardBlocks(
        from start: Int = 0, attend: (_ layer: Int, _ block: Activations<E>.Block) -> Void
    ) throws {
        let a = activations
        let first = a.blocks[0].residual.all
        embed(from: start, into: first)
        try observe("embedding", "activation", first)

        for layer in layout.blocks.indices {
            try timed(.layer, layer: layer) { try forwardBlock(layer, from: start, attend) }
        }
        norm(
            layout.finalNorm, a.blocks[layout.blocks.count - 1].middle.all, adding: a.branch.all,
            sum: a.finalResidual.all, a.finalNorm, layer: -1)
        try observe(layout.finalNorm.label, "activation", a.normed.all)
    }

    private func embed(from start: Int, into stream: BufferSlice<Float>) {
        let a = activations
        let isNormed = configuration.normalizesEmbedding
        timed(.embedding) {
            Embedding.forward(
                pool, tokens: inputs.all, tokenTable: weights[layout.tokenEmbedding],
                positionTable: layout.positionEmbedding.map { weights[$0.lowerBound + start * width..<$0.upperBound] },
                output: isNormed ? a.embedding.all : stream, context: length, columns: width)
            dropped(.embedding)?.apply(pool, isNormed ? a.embedding.all : stream, columns: width)
            guard isNormed else { return }
            RMSNorm.forward(
                pool, residual: a.embedding.all, adding: nil, sum: stream, output: stream, weight: nil,
                rstd: a.embeddingNorm.rstd.all, epsilon: Float(configuration.normEpsilon), columns: width)
        }
    }

    /// One block. Each norm first adds what the layer before it contributes to the residual stream, so a block leaves its
    /// own last part in `activations.branch` to the next one.
    /// - Parameter again: computes what the backward pass needs once more, from `residual`.
    func forwardBlock(
        _ layer: Int, from start: Int = 0, again: Bool = false, _ attend: (Int, Activations<E>.Block) -> Void
    ) throws {
        let a = activations
        let slots = layout.blocks[layer]
        let block = a.blocks[layer]
        let isStart = again || layer == 0
        let incoming = isStart ? block.residual.all : a.blocks[layer - 1].middle.all
        norm(
            slots.norm1, incoming, adding: isStart ? nil : a.branch.all, sum: block.residual.all, block.norm1,
            layer: layer)
        try observe(slots.norm1.label, "activation", a.normed.all)
        linear(products.queryKeyValue, slots.queryKeyValue, a.normed.all, block.queryKeyValue.all, layer: layer)
        placeHeads(slots, block, from: start, layer: layer)
        try observe(slots.queryKeyValue.label, "activation", block.queryKeyValue.all)
        timed(.attentionForward, layer: layer) { attend(layer, block) }
        try observe(slots.attentionLabel, "activation", block.attention.all)
        linear(products.attentionProjection, slots.attentionProjection, block.attention.all, a.branch.all, layer: layer)
        drop(.attentionBranch, layer: layer)
        try observe(slots.attentionProjection.label, "activation", a.branch[0..<inputs.count * width])

        if configuration.hasParallelResidual {
            timed(.norm, layer: layer) {
                Vector.add(pool, residual: block.residual.all, branch: a.branch.all, into: block.middle.all)
            }
            norm(slots.norm2, block.residual.all, adding: nil, sum: block.residual.all, block.norm2, layer: layer)
        } else {
            norm(
                slots.norm2, block.residual.all, adding: a.branch.all, sum: block.middle.all, block.norm2, layer: layer)
        }
        try observe(slots.norm2.label, "activation", a.normed.all)
        linear(products.expansion, slots.expansion, a.normed.all, block.hidden, layer: layer)
        try observe(slots.expansion.label, "activation", block.hidden)
        guard !again else { return }
        timed(.activation, layer: layer) {
            let activation = configuration.activation
            if configuration.isGated {
                activation.forwardGated(pool, block.hidden, into: a.activated, columns: configuration.innerSize)
            } else {
                activation.forward(pool, block.hidden, into: a.activated)
            }
        }
        linear(products.contraction, slots.contraction, a.activated, a.branch.all, layer: layer)
        drop(.mlpBranch, layer: layer)
        try observe(slots.contraction.label, "activation", a.branch[0..<inputs.count * width])
    }

    /// Drops a part of what the block adds to the stream.
    private func drop(_ place: DropoutPlace, layer: Int) {
        guard let dropped = dropped(place, layer: layer) else { return }
        timed(.dropout, layer: layer) {
            dropped.apply(pool, activations.branch[0..<inputs.count * width], columns: width)
        }
    }

    /// The norms of queries and keys, and the turn by their positions.
    private func placeHeads(
        _ slots: ParameterLayout.Block, _ block: Activations<E>.Block, from start: Int, layer: Int
    ) {
        guard configuration.normalizesHeads || activations.rotary != nil else { return }
        timed(.headPlacement, layer: layer) {
            let columns = configuration.headColumns
            if configuration.normalizesHeads {
                HeadNorm.forward(
                    pool, rows: block.queryKeyValue.all, columns: columns, unnormed: block.unnormed.all,
                    queryWeight: slots.queryNorm.map { weights[$0] }, keyWeight: slots.keyNorm.map { weights[$0] },
                    epsilon: Float(configuration.normEpsilon))
            }
            if let table = activations.rotary {
                Rotary.apply(
                    pool, rows: block.queryKeyValue.all, columns: columns, table: table, firstPosition: start,
                    context: length, inverse: false)
            }
        }
    }

    private func norm(
        _ slots: ParameterLayout.Norm, _ residual: BufferSlice<Float>, adding branch: BufferSlice<E>?,
        sum: BufferSlice<Float>, _ statistics: Activations<E>.NormStatistics, layer: Int
    ) {
        let epsilon = Float(configuration.normEpsilon)
        timed(.norm, layer: layer) {
            if let weight = slots.weight, let bias = slots.bias {
                LayerNorm.forward(
                    pool, residual: residual, adding: branch, sum: sum, output: activations.normed.all,
                    weight: weights[weight], bias: weights[bias], mean: statistics.mean.all, rstd: statistics.rstd.all,
                    epsilon: epsilon, columns: width)
            } else {
                RMSNorm.forward(
                    pool, residual: residual, adding: branch, sum: sum, output: activations.normed.all,
                    weight: slots.weight.map { weights[$0] }, rstd: statistics.rstd.all, epsilon: epsilon,
                    columns: width)
            }
        }
    }

    private func linear(
        _ products: Products.Linear, _ slots: ParameterLayout.Linear, _ x: BufferSlice<E>, _ y: BufferSlice<E>,
        layer: Int
    ) {
        timed(.product(products.name, .forward), layer: layer) {
            run(products.forward, x, slots.weight, into: y, bias: slots.bias)
        }
    }
}
