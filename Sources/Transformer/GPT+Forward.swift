import Kernels

// N: rows, C: embedding size; see GPT.swift.

extension GPT {
    /// From tokens to the final norm's output in `activations.normed`.
    /// - Parameters:
    ///   - start: the position of the sequences' first tokens.
    ///   - attend: puts the attention of a layer's `queryKeyValue` into its block's `attention`.
    func forwardBlocks(
        from start: Int = 0, attend: (_ layer: Int, _ block: Activations<E>.Block) -> Void
    ) throws {
        let a = activations
        let first = a.blocks[0].residual.all
        let positions = tensor(layout.positionEmbedding, of: weights)
        timed(.embedding) {
            Embedding.forward(
                pool, tokens: inputs.all, tokenTable: tensor(layout.tokenEmbedding, of: weights),
                positionTable: positions[start * width..<positions.count], output: first, context: context,
                columns: width)
        }
        try observe("embedding", "activation", first)

        for layer in layout.blocks.indices {
            try timed(.layer, layer: layer) { try forwardBlock(layer, attend) }
        }
        norm(
            layout.finalNorm, a.blocks[layout.blocks.count - 1].middle.all, adding: a.branch.all,
            sum: a.finalResidual.all, a.finalNorm, layer: -1)
        try observe("ln_f", "activation", a.normed.all)
    }

    /// One block. Each norm first adds what the layer before it contributes to the residual stream, so a block leaves its
    /// own last part in `activations.branch` to the next one.
    private func forwardBlock(_ layer: Int, _ attend: (Int, Activations<E>.Block) -> Void) throws {
        let a = activations
        let slots = layout.blocks[layer]
        let block = a.blocks[layer]
        let incoming = layer == 0 ? block.residual.all : a.blocks[layer - 1].middle.all
        norm(
            slots.norm1, incoming, adding: layer == 0 ? nil : a.branch.all, sum: block.residual.all, block.norm1,
            layer: layer)
        try observe("h.\(layer).ln_1", "activation", a.normed.all)
        linear(products.queryKeyValue, slots.queryKeyValue, a.normed, block.queryKeyValue, layer: layer)
        try observe("h.\(layer).attn.c_attn", "activation", block.queryKeyValue.all)
        timed(.attentionForward, layer: layer) { attend(layer, block) }
        try observe("h.\(layer).attn", "activation", block.attention.all)
        linear(products.attentionProjection, slots.attentionProjection, block.attention, a.branch, layer: layer)
        try observe("h.\(layer).attn.c_proj", "activation", a.branch.all)

        norm(slots.norm2, block.residual.all, adding: a.branch.all, sum: block.middle.all, block.norm2, layer: layer)
        try observe("h.\(layer).ln_2", "activation", a.normed.all)
        linear(products.expansion, slots.expansion, a.normed, block.hidden, layer: layer)
        try observe("h.\(layer).mlp.c_fc", "activation", block.hidden.all)
        timed(.activation, layer: layer) {
            configuration.activation.forward(pool, block.hidden.all, into: a.activated.all)
        }
        linear(products.contraction, slots.contraction, a.activated, a.branch, layer: layer)
        try observe("h.\(layer).mlp.c_proj", "activation", a.branch.all)
    }

    private func norm(
        _ slots: ParameterLayout.Slots, _ residual: BufferSlice<Float>, adding branch: BufferSlice<E>?,
        sum: BufferSlice<Float>, _ statistics: Activations<E>.NormStatistics, layer: Int
    ) {
        timed(.norm, layer: layer) {
            LayerNorm.forward(
                pool, residual: residual, adding: branch, sum: sum, output: activations.normed.all,
                weight: tensor(slots.weight, of: weights), bias: tensor(slots.bias, of: weights),
                mean: statistics.mean.all, rstd: statistics.rstd.all, epsilon: Float(configuration.normEpsilon),
                columns: width)
        }
    }

    private func linear(
        _ products: Products.Linear, _ slots: ParameterLayout.Slots, _ x: Buffer<E>, _ y: Buffer<E>, layer: Int
    ) {
        timed(.product(products.name, .forward), layer: layer) {
            products.forward.run(x.all, operand(slots.weight), into: y.all, bias: tensor(slots.bias, of: weights))
        }
    }
}
