import Kernels

// N: rows, C: embedding size; see GPT.swift.

extension GPT {
    /// From the gradient of the final norm's output to the gradients of all tensors, last tensor first.
    ///
    /// On entry to a block `residualGradient` (fp32) and `branchGradient` (the same as a matmul operand) hold the
    /// gradient of the stream that leaves it. Each norm's backward pass adds its part and sums the columns, which are
    /// the bias gradient of the linear layer before it.
    func backwardBlocks(_ gradients: Buffer<Float>, completed: (Range<Int>) throws -> Void) throws {
        let a = activations
        var end = layout.count
        backwardNorm(
            layout.finalNorm, x: a.finalResidual, a.finalNorm, gradients, overwrites: true,
            feeding: layout.blocks.last?.contraction, layer: -1)
        try complete(downTo: layout.finalNorm.weight, &end, completed)

        for layer in layout.blocks.indices.reversed() {
            try timed(.layer, layer: layer) { try backwardBlock(layer, gradients, &end, completed) }
        }

        try observe("embedding", "gradient", a.residualGradient.all)
        timed(.embedding) {
            Embedding.backward(
                pool, tokens: inputs.all, gradient: a.residualGradient.all,
                tokenGradient: tensor(layout.tokenEmbedding, of: gradients),
                positionGradient: tensor(layout.positionEmbedding, of: gradients),
                overwrites: !configuration.hasTiedHead, context: context, columns: width)
        }
        try complete(downTo: layout.tokenEmbedding, &end, completed)
    }

    /// Tells that this tensor and all behind it, up to `end`, are final. (A local function over `end` would be allocated.)
    private func complete(downTo index: Int, _ end: inout Int, _ completed: (Range<Int>) throws -> Void) throws {
        let start = layout.parameters[index].offset
        try completed(start..<end)
        end = start
    }

    /// One block; the gradients from `end` on are final already.
    private func backwardBlock(
        _ layer: Int, _ gradients: Buffer<Float>, _ end: inout Int, _ completed: (Range<Int>) throws -> Void
    ) throws {
        let a = activations
        let slots = layout.blocks[layer]
        let block = a.blocks[layer]
        try observe("h.\(layer).mlp.c_proj", "gradient", a.branchGradient.all)
        let hiddenGradient = a.wideGradient[0..<inputs.count * configuration.innerSize]
        inputGradient(products.contraction, slots.contraction, a.branchGradient.all, into: hiddenGradient, layer: layer)
        timed(.activation, layer: layer) {
            configuration.activation.backward(
                pool, x: block.hidden.all, gradient: hiddenGradient, output: a.activated.all,
                biasGradient: tensor(slots.expansion.bias, of: gradients), partials: a.partials,
                columns: configuration.innerSize)
        }
        try observe("h.\(layer).mlp.c_fc", "gradient", hiddenGradient)
        weightGradient(
            products.contraction, slots.contraction, a.activated.all, a.branchGradient.all, gradients, layer: layer)
        try complete(downTo: slots.contraction.weight, &end, completed)

        inputGradient(products.expansion, slots.expansion, hiddenGradient, into: a.normedGradient.all, layer: layer)
        try observe("h.\(layer).ln_2", "gradient", a.normedGradient.all)
        backwardNorm(
            slots.norm2, x: block.middle, block.norm2, gradients, feeding: slots.attentionProjection, layer: layer)
        weightGradient(products.expansion, slots.expansion, a.normed.all, hiddenGradient, gradients, layer: layer)
        try complete(downTo: slots.norm2.weight, &end, completed)

        try observe("h.\(layer).attn.c_proj", "gradient", a.branchGradient.all)
        inputGradient(
            products.attentionProjection, slots.attentionProjection, a.branchGradient.all, into: a.normedGradient.all,
            layer: layer)
        try observe("h.\(layer).attn", "gradient", a.normedGradient.all)
        weightGradient(
            products.attentionProjection, slots.attentionProjection, block.attention.all, a.branchGradient.all,
            gradients, layer: layer)
        try complete(downTo: slots.attentionProjection.weight, &end, completed)

        let qkvGradient = a.wideGradient[0..<inputs.count * 3 * width]
        timed(.attentionBackward, layer: layer) {
            attention.backward(
                qkv: block.queryKeyValue.all, output: block.attention.all, logSumExp: block.logSumExp.all,
                outputGradient: a.normedGradient.all, qkvGradient: qkvGradient,
                scale: configuration.attentionScale(layer: layer))
        }
        try observe("h.\(layer).attn.c_attn", "gradient", qkvGradient)
        timed(.biasGradient, layer: layer) {
            ColumnSum.compute(
                pool, qkvGradient, rows: inputs.count, columns: 3 * width, partials: a.partials,
                into: tensor(slots.queryKeyValue.bias, of: gradients))
        }
        inputGradient(
            products.queryKeyValue, slots.queryKeyValue, qkvGradient, into: a.normedGradient.all, layer: layer)
        try observe("h.\(layer).ln_1", "gradient", a.normedGradient.all)
        backwardNorm(
            slots.norm1, x: block.residual, block.norm1, gradients,
            feeding: layer > 0 ? layout.blocks[layer - 1].contraction : nil, layer: layer)
        weightGradient(products.queryKeyValue, slots.queryKeyValue, a.normed.all, qkvGradient, gradients, layer: layer)
        try complete(downTo: slots.norm1.weight, &end, completed)
    }

    private func backwardNorm(
        _ slots: ParameterLayout.Slots, x: Buffer<Float>, _ statistics: Activations<E>.NormStatistics,
        _ gradients: Buffer<Float>, overwrites: Bool = false, feeding linear: ParameterLayout.Slots?, layer: Int
    ) {
        let a = activations
        timed(.norm, layer: layer) {
            LayerNorm.backward(
                pool, outputGradient: a.normedGradient.all, x: x.all, weight: tensor(slots.weight, of: weights),
                bias: tensor(slots.bias, of: weights), mean: statistics.mean.all, rstd: statistics.rstd.all,
                residualGradient: a.residualGradient.all, overwrites: overwrites,
                branchGradient: E.precision == .fp32 ? nil : a.branchGradient.all, output: a.normed.all,
                weightGradient: tensor(slots.weight, of: gradients), biasGradient: tensor(slots.bias, of: gradients),
                branchBiasGradient: linear.map { tensor($0.bias, of: gradients) }, partials: a.partials, columns: width)
        }
    }

    private func inputGradient(
        _ products: Products.Linear, _ slots: ParameterLayout.Slots, _ dy: BufferSlice<E>, into dx: BufferSlice<E>,
        layer: Int
    ) {
        timed(.product(products.name, .inputGradient), layer: layer) {
            products.inputGradient?.run(dy, operand(slots.weight), into: dx)
        }
    }

    private func weightGradient(
        _ products: Products.Linear, _ slots: ParameterLayout.Slots, _ x: BufferSlice<E>, _ dy: BufferSlice<E>,
        _ gradients: Buffer<Float>, layer: Int
    ) {
        timed(.product(products.name, .weightGradient), layer: layer) {
            products.weightGradient?.run(x, dy, into: tensor(slots.weight, of: gradients))
        }
    }
}
