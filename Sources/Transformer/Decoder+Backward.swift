import Kernels

// N: rows, C: embedding size; see Decoder.swift.

extension Decoder {
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
            feeding: layout.blocks.count - 1, layer: -1)
        try complete(downTo: layout.finalNorm.start, &end, completed)

        for layer in layout.blocks.indices.reversed() {
            try timed(.layer, layer: layer) { try backwardBlock(layer, gradients, &end, completed) }
        }

        try observe("embedding", "gradient", a.residualGradient.all)
        timed(.embedding) {
            if configuration.normalizesEmbedding {
                RMSNorm.backward(
                    pool, outputGradient: a.residualGradient.all, x: a.embedding.all, weight: nil,
                    rstd: a.embeddingNorm.rstd.all, residualGradient: a.residualGradient.all, overwrites: true,
                    branchGradient: nil, output: nil, weightGradient: nil, branchBiasGradient: nil,
                    partials: a.partials, columns: width)
            }
            dropped(.embedding)?.apply(pool, a.residualGradient.all, columns: width)
            Embedding.backward(
                pool, tokens: inputs.all, gradient: a.residualGradient.all,
                tokenGradient: gradients[layout.tokenEmbedding],
                positionGradient: layout.positionEmbedding.map { gradients[$0] },
                overwrites: !configuration.hasTiedHead, context: length, columns: width)
        }
        try complete(downTo: layout.tokenEmbedding.lowerBound, &end, completed)
    }

    /// Tells that everything from `start` up to `end` is final. (A local function over `end` would be allocated.)
    private func complete(downTo start: Int, _ end: inout Int, _ completed: (Range<Int>) throws -> Void) throws {
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
        if recomputes {
            // Seen in the forward pass already.
            let watching = observer
            observer = nil
            try forwardBlock(layer, again: true, attend)
            observer = watching
        }
        dropGradient(.mlpBranch, slots.contraction, gradients, layer: layer)
        try observe(slots.contraction.label, "gradient", a.branchGradient.all)
        let hiddenGradient = backwardActivation(slots, block, gradients, layer: layer)
        try observe(slots.expansion.label, "gradient", hiddenGradient)
        weightGradient(
            products.contraction, slots.contraction, a.activated, a.branchGradient.all, gradients, layer: layer)
        try complete(downTo: slots.contraction.start, &end, completed)
        // What both read of the stream's gradient comes before norms add to it.
        if configuration.hasParallelResidual { try backwardProjection(slots, block, gradients, layer: layer) }

        inputGradient(products.expansion, slots.expansion, hiddenGradient, into: a.normedGradient, layer: layer)
        try observe(slots.norm2.label, "gradient", a.normedGradient)
        backwardNorm(
            slots.norm2, x: configuration.hasParallelResidual ? block.residual : block.middle, block.norm2, gradients,
            feeding: configuration.hasParallelResidual ? nil : layer, isMiddle: true, layer: layer)
        weightGradient(products.expansion, slots.expansion, a.normed.all, hiddenGradient, gradients, layer: layer)
        try complete(downTo: slots.norm2.start, &end, completed)

        if !configuration.hasParallelResidual { try backwardProjection(slots, block, gradients, layer: layer) }
        try complete(downTo: slots.attentionProjection.start, &end, completed)

        let qkvGradient = a.wideGradient[0..<inputs.count * configuration.queryKeyValueWidth]
        timed(.attentionBackward, layer: layer) {
            attention.backward(
                qkv: block.queryKeyValue.all, output: block.attention.all, logSumExp: block.logSumExp.all,
                outputGradient: a.attentionGradient, qkvGradient: qkvGradient,
                scale: configuration.attentionScale(layer: layer), dropout: dropped(.attention, layer: layer))
        }
        liftHeads(slots, block, qkvGradient, gradients, layer: layer)
        try observe(slots.queryKeyValue.label, "gradient", qkvGradient)
        if let bias = slots.queryKeyValue.bias {
            timed(.biasGradient, layer: layer) {
                ColumnSum.compute(
                    pool, qkvGradient, rows: inputs.count, columns: configuration.queryKeyValueWidth,
                    partials: a.partials, into: gradients[bias])
            }
        }
        inputGradient(products.queryKeyValue, slots.queryKeyValue, qkvGradient, into: a.normedGradient, layer: layer)
        try observe(slots.norm1.label, "gradient", a.normedGradient)
        backwardNorm(
            slots.norm1, x: block.residual, block.norm1, gradients, feeding: layer > 0 ? layer - 1 : nil, layer: layer)
        weightGradient(products.queryKeyValue, slots.queryKeyValue, a.normed.all, qkvGradient, gradients, layer: layer)
        try complete(downTo: slots.norm1.start, &end, completed)
    }

    /// The gradient of the MLP's hidden layer, from that of the stream; `activated` holds the activation's output after it.
    private func backwardActivation(
        _ slots: ParameterLayout.Block, _ block: Activations<E>.Block, _ gradients: Buffer<Float>, layer: Int
    ) -> BufferSlice<E> {
        let a = activations
        let columns = configuration.innerSize
        let hiddenGradient = a.wideGradient[0..<inputs.count * configuration.expansionWidth]
        let biasGradient = slots.expansion.bias.map { gradients[$0] }
        inputGradient(
            products.contraction, slots.contraction, a.branchGradient.all,
            into: configuration.isGated ? a.activated : hiddenGradient, layer: layer)
        timed(.activation, layer: layer) {
            if configuration.isGated {
                configuration.activation.backwardGated(
                    pool, x: block.hidden, outputAndGradient: a.activated, gradient: hiddenGradient,
                    biasGradient: biasGradient, partials: a.partials, columns: columns)
            } else {
                configuration.activation.backward(
                    pool, x: block.hidden, gradient: hiddenGradient, output: a.activated,
                    biasGradient: biasGradient, partials: a.partials, columns: columns)
            }
        }
        return hiddenGradient
    }

    /// The gradients of attention's output and of its projection, from that of the stream.
    private func backwardProjection(
        _ slots: ParameterLayout.Block, _ block: Activations<E>.Block, _ gradients: Buffer<Float>, layer: Int
    ) throws {
        let a = activations
        dropGradient(.attentionBranch, slots.attentionProjection, gradients, layer: layer)
        try observe(slots.attentionProjection.label, "gradient", a.branchGradient.all)
        inputGradient(
            products.attentionProjection, slots.attentionProjection, a.branchGradient.all, into: a.attentionGradient,
            layer: layer)
        try observe(slots.attentionLabel, "gradient", a.attentionGradient)
        weightGradient(
            products.attentionProjection, slots.attentionProjection, block.attention.all, a.branchGradient.all,
            gradients, layer: layer)
    }

    /// Where a branch dropped values: the gradient of what stayed, from that of the stream, and of the branch's bias.
    private func dropGradient(
        _ place: DropoutPlace, _ slots: ParameterLayout.Linear, _ gradients: Buffer<Float>, layer: Int
    ) {
        guard let dropped = dropped(place, layer: layer) else { return }
        let a = activations
        timed(.dropout, layer: layer) {
            Vector.round(pool, a.residualGradient.all, into: a.branchGradient.all)
            dropped.apply(pool, a.branchGradient.all, columns: width)
        }
        guard let bias = slots.bias else { return }
        timed(.biasGradient, layer: layer) {
            ColumnSum.compute(
                pool, a.branchGradient.all, rows: inputs.count, columns: width, partials: a.partials,
                into: gradients[bias])
        }
    }

    /// From the gradients of queries and keys as attention read them to those of what the product gave.
    private func liftHeads(
        _ slots: ParameterLayout.Block, _ block: Activations<E>.Block, _ gradient: BufferSlice<E>,
        _ gradients: Buffer<Float>, layer: Int
    ) {
        guard configuration.normalizesHeads || activations.rotary != nil else { return }
        timed(.headPlacement, layer: layer) {
            let columns = configuration.headColumns
            if let table = activations.rotary {
                Rotary.apply(
                    pool, rows: gradient, columns: columns, table: table, firstPosition: 0, context: length,
                    inverse: true)
            }
            if configuration.normalizesHeads {
                HeadNorm.backward(
                    pool, gradient: gradient, columns: columns, unnormed: block.unnormed.all,
                    queryWeight: slots.queryNorm.map { weights[$0] }, keyWeight: slots.keyNorm.map { weights[$0] },
                    queryWeightGradient: slots.queryNorm.map { gradients[$0] },
                    keyWeightGradient: slots.keyNorm.map { gradients[$0] }, epsilon: Float(configuration.normEpsilon),
                    partials: activations.partials)
            }
        }
    }

    /// - Parameters:
    ///   - block: the block whose part of the stream ends here; the new gradient's columns are its bias gradients.
    ///   - isMiddle: whether that part is attention alone.
    private func backwardNorm(
        _ slots: ParameterLayout.Norm, x: Buffer<Float>, _ statistics: Activations<E>.NormStatistics,
        _ gradients: Buffer<Float>, overwrites: Bool = false, feeding block: Int?, isMiddle: Bool = false, layer: Int
    ) {
        let a = activations
        let feeding = block.map { layout.blocks[$0] }
        // Both parts of a parallel block end here and have the same gradient.
        let isBoth = configuration.hasParallelResidual
        let projection = isMiddle || isBoth ? feeding?.attentionProjection.bias : nil
        let contraction = isMiddle ? nil : feeding?.contraction.bias
        // Where branches drop values, `dropGradient` makes both from the stream's gradient.
        let drops = dropout.residual > 0
        let branchBiasGradient = drops ? nil : (contraction ?? projection).map { gradients[$0] }
        let branchGradient = E.precision == .fp32 || drops ? nil : a.branchGradient.all
        timed(.norm, layer: layer) {
            if let weight = slots.weight, let bias = slots.bias {
                LayerNorm.backward(
                    pool, outputGradient: a.normedGradient, x: x.all, weight: weights[weight], bias: weights[bias],
                    mean: statistics.mean.all, rstd: statistics.rstd.all, residualGradient: a.residualGradient.all,
                    overwrites: overwrites, branchGradient: branchGradient, output: a.normed.all,
                    weightGradient: gradients[weight], biasGradient: gradients[bias],
                    branchBiasGradient: branchBiasGradient, partials: a.partials, columns: width)
            } else {
                RMSNorm.backward(
                    pool, outputGradient: a.normedGradient, x: x.all, weight: slots.weight.map { weights[$0] },
                    rstd: statistics.rstd.all, residualGradient: a.residualGradient.all, overwrites: overwrites,
                    branchGradient: branchGradient, output: a.normed.all,
                    weightGradient: slots.weight.map { gradients[$0] }, branchBiasGradient: branchBiasGradient,
                    partials: a.partials, columns: width)
            }
            if let branchBiasGradient, contraction != nil, let projection {
                Vector.copy(branchBiasGradient, into: gradients[projection])
            }
        }
    }

    private func inputGradient(
        _ products: Products.Linear, _ slots: ParameterLayout.Linear, _ dy: BufferSlice<E>, into dx: BufferSlice<E>,
        layer: Int
    ) {
        timed(.product(products.name, .inputGradient), layer: layer) {
            if let product = products.inputGradient { run(product, dy, slots.weight, into: dx) }
        }
    }

    private func weightGradient(
        _ products: Products.Linear, _ slots: ParameterLayout.Linear, _ x: BufferSlice<E>, _ dy: BufferSlice<E>,
        _ gradients: Buffer<Float>, layer: Int
    ) {
        let (first, second) = self.products.isInputMajor ? (x, dy) : (dy, x)
        timed(.product(products.name, .weightGradient), layer: layer) {
            products.weightGradient?.run(first, second, into: gradients[slots.weight])
        }
    }
}
