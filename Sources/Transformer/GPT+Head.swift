import Kernels

// R: rows of a block, V: vocabulary, C: embedding size.

extension GPT {
    /// Losses, the gradient of the final norm's output in `normedGradient`, and the head's share of the token
    /// embedding's gradient. Blocks of rows: logits [R, V] become their own gradient while they are in the cache.
    func headLossAndGradients(_ gradients: Buffer<Float>) throws {
        let a = activations
        let embeddingGradient = tensor(layout.tokenEmbedding, of: gradients)
        let embedding = operand(layout.tokenEmbedding)
        for block in products.head {
            guard let inputGradient = block.inputGradient, let weightGradient = block.weightGradient else {
                preconditionFailure("planned without training")
            }
            let logits = a.logits[0..<block.rows.count * products.logitsStride]
            let rows = rowRange(block.rows)
            let isFirst = block.rows.lowerBound == 0
            timed(.headForward) {
                block.logits.run(a.normed[rows], embedding, into: logits, reusingOperand: !isFirst)
            }
            timed(.crossEntropy) {
                CrossEntropy.lossAndGradient(
                    pool, logits: logits, stride: products.logitsStride, targets: targets[block.rows],
                    losses: a.losses[block.rows], vocabulary: configuration.vocabularySize, scratch: a.powers.all)
            }
            timed(.headInputGradient) {
                inputGradient.run(logits, embedding, into: a.normedGradient[rows], reusingOperand: !isFirst)
            }
            timed(.headWeightGradient) { weightGradient.run(logits, a.normed[rows], into: embeddingGradient) }
        }
        try observe("lm_head", "loss", a.losses.all)
        try observe("ln_f", "gradient", a.normedGradient.all)
    }

    /// Losses alone.
    func headLosses() {
        let a = activations
        for block in products.head {
            let logits = a.logits[0..<block.rows.count * products.logitsStride]
            timed(.headForward) {
                block.logits.run(
                    a.normed[rowRange(block.rows)], operand(layout.tokenEmbedding), into: logits,
                    reusingOperand: block.rows.lowerBound > 0)
            }
            timed(.crossEntropy) {
                CrossEntropy.loss(
                    pool, logits: logits, stride: products.logitsStride, targets: targets[block.rows],
                    losses: a.losses[block.rows], vocabulary: configuration.vocabularySize, scratch: a.powers.all)
            }
        }
    }

    private func rowRange(_ rows: Range<Int>) -> Range<Int> { rows.lowerBound * width..<rows.upperBound * width }
}
