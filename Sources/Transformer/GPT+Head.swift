import Kernels

// R: rows of a block, V: vocabulary, C: embedding size.

extension GPT {
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
                    writesGradient: gradients != nil)
            }
            guard let gradients else { continue }
            timed(.product(.head, .inputGradient)) {
                block.products.inputGradient?.run(
                    logits, operand(layout.head), into: a.normedGradient[rows],
                    reusingOperand: block.rows.lowerBound > 0)
            }
            timed(.product(.head, .weightGradient)) {
                block.products.weightGradient?.run(
                    logits, a.normed[rows], into: tensor(layout.head, of: gradients))
            }
        }
        guard gradients != nil else { return }
        try observe("lm_head", "loss", a.losses.all)
        try observe("ln_f", "gradient", a.normedGradient.all)
    }

    /// The logits [R, V] of a block from the final norm's output, in memory that all blocks share.
    func headLogits(_ block: Products.Head) -> BufferSlice<E> {
        let logits = activations.logits[0..<block.rows.count * configuration.vocabularySize]
        let isFirst = block.rows.lowerBound == 0
        timed(.product(.head, .forward)) {
            block.products.forward.run(
                activations.normed[rowRange(block.rows)], operand(layout.head), into: logits,
                reusingOperand: !isFirst)
        }
        return logits
    }

    private func rowRange(_ rows: Range<Int>) -> Range<Int> { rows.lowerBound * width..<rows.upperBound * width }
}
