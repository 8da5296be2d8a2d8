import Kernels

// R: rows of a block, V: vocabulary, C: embedding size.

extension Decoder {
    /// Losses; with an arena of gradients also the gradient of the final norm's output in `normedGradient`, and that of
    /// the head's weights. Blocks of rows: logits [R, V] become their own gradient while they are in the cache.
    func headLosses(_ gradients: Buffer<Float>? = nil) throws {
        let a = activations
        for block in products.head {
            let logits = headLogits(block)
            let rows = rowRange(block.rows)
            timed(.crossEntropy) {
                CrossEntropy.loss(
                    pool, logits: logits, targets: targets[block.rows],
                    losses: a.losses[block.rows], vocabulary: configuration.vocabularySize, scratch: a.powers.all,
                    writesGradient: gradients != nil, softCap: configuration.logitSoftCap.map { Float($0) })
            }
            guard let gradients else { continue }
            timed(.product(.head, .inputGradient)) {
                guard let product = block.products.inputGradient else { return }
                run(
                    product, logits, layout.head, into: a.normedGradient[rows],
                    reusingOperand: block.rows.lowerBound > 0)
            }
            timed(.product(.head, .weightGradient)) {
                block.products.weightGradient?.run(logits, a.normed[rows], into: gradients[layout.head])
            }
        }
        guard gradients != nil else { return }
        try observe("lm_head", "loss", a.losses.all)
        try observe(layout.finalNorm.label, "gradient", a.normedGradient)
    }

    /// The logits [R, V] of a block from the final norm's output, in memory that all blocks share.
    func headLogits(_ block: Products.Head) -> BufferSlice<E> {
        let logits = activations.logits[0..<block.rows.count * configuration.vocabularySize]
        let isFirst = block.rows.lowerBound == 0
        timed(.product(.head, .forward)) {
            run(
                block.products.forward, activations.normed[rowRange(block.rows)], layout.head, into: logits,
                reusingOperand: !isFirst)
        }
        return logits
    }

    /// The logits [V] after one row, with a soft-cap where there is one; `normed` is that row of the final norm's output.
    func logits(after normed: [E]) -> [Float] {
        activations.normed.set(normed)
        let logits = headLogits(products.head[0])
        activations.powers.set(logits.array().map(\.float))
        let values = activations.powers[0..<configuration.vocabularySize]
        if let cap = configuration.logitSoftCap { CrossEntropy.cap(pool, values, at: Float(cap)) }
        return values.array()
    }

    private func rowRange(_ rows: Range<Int>) -> Range<Int> { rows.lowerBound * width..<rows.upperBound * width }
}
