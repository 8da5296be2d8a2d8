import Kernels

// N: rows, C: embedding size, W: width of queries, keys and values together, A: width of the heads' outputs, I: inner
// size, L: layers, H, G, D: heads, key/value heads, head size, T: context; B · H · T: one number a head and row.

/// All memory of a micro-batch's forward and backward pass, reserved once.
///
/// Kept for the backward pass are the residual stream, the attention's input and output and the MLP's hidden layer
/// before its activation. Outputs of norms and of the activation are cheaper to compute again than to keep. With
/// recomputation the stream at the start of each block alone is kept; one block's memory serves all, and the head, which
/// runs between the two passes, has a part of it.
final class Activations<E: ActivationElement> {
    /// What one block keeps.
    struct Block {
        /// [N, C] the residual stream that enters the block.
        let residual: Buffer<Float>
        /// [N, C] the residual stream between attention and MLP.
        let middle: Buffer<Float>
        /// [N, W] queries, keys and values side by side, as attention reads them.
        let queryKeyValue: Buffer<E>
        /// [N, (H + G) · D] queries and keys before their norms, where they have some.
        let unnormed: Buffer<E>
        /// [N, A] the heads' outputs side by side.
        let attention: Buffer<E>
        /// [B, H, T] log of each softmax's denominator.
        let logSumExp: Buffer<Float>
        /// [N, I] the MLP's hidden layer before the activation; [N, 2I] of a gated one, what is gated behind the gate.
        let hidden: BufferSlice<E>
        let norm1: NormStatistics
        let norm2: NormStatistics
    }

    /// [N] each: what a norm's backward pass needs besides its input. RMSNorm has no mean.
    struct NormStatistics {
        let mean: Buffer<Float>
        let rstd: Buffer<Float>
    }

    let blocks: [Block]
    /// [N, C] the embedding before its norm, where it has one.
    let embedding: Buffer<Float>
    let embeddingNorm: NormStatistics
    /// [N, C] the residual stream after the last block; the same memory as `middle` where one block's serves all.
    let finalResidual: Buffer<Float>
    let finalNorm: NormStatistics
    /// [N, C] a norm's output: the operand of the next matmul.
    let normed: Buffer<E>
    /// [N, C] what a block adds to the residual stream.
    let branch: Buffer<E>
    /// [N, I] the activation's output; in the backward pass of a gated one, the gradient of that on entry. In place where
    /// one block's memory serves all and the activation is not gated.
    let activated: BufferSlice<E>
    /// [rows of a block, vocabulary]: logits, then their gradient. The head runs between the two passes, so they share
    /// memory with `wideGradient`, and with `hidden` where one block's serves all.
    let logits: BufferSlice<E>
    /// One row of exponentials a thread.
    let powers: Buffer<Float>
    /// [N]
    let losses: Buffer<Float>
    /// Cosines and sines [T, R / 2], where positions are rotary.
    let rotary: RotaryTable?

    // Gradients.
    /// [N, C] of the residual stream.
    let residualGradient: Buffer<Float>
    /// [N, C] the same as a matmul operand, and without what a branch dropped; the same memory in fp32 without dropout.
    let branchGradient: Buffer<E>
    /// [N, C] of a norm's output.
    let normedGradient: BufferSlice<E>
    /// [N, A] of the attention's output; where attention and MLP read the same stream, both are needed at once.
    let attentionGradient: BufferSlice<E>
    /// Of the MLP's hidden layer, [N, I or 2I]; later of queries, keys and values, [N, W].
    let wideGradient: BufferSlice<E>
    let partials: Partials

    /// - Throws: `KernelError` when memory cannot be reserved.
    init(
        _ configuration: DecoderConfiguration, rows: Int, threads: Int, training: Bool, recomputes: Bool,
        hasHead: Bool, dropsBranches: Bool, memory: Memory
    ) throws(KernelError) {
        let (c, inner) = (configuration.embeddingSize, configuration.innerSize)
        let (wide, attention) = (configuration.queryKeyValueWidth, configuration.attentionWidth)
        let expansion = configuration.expansionWidth
        let kept = training ? rows : 0
        func buffer<Element>(_ columns: Int, rows: Int = rows) throws(KernelError) -> Buffer<Element> {
            try memory.buffer(.activations, rows, columns)
        }
        func statistics(isUsed: Bool = true) throws(KernelError) -> NormStatistics {
            NormStatistics(
                mean: try buffer(isUsed && configuration.norm == .layerNorm ? 1 : 0), rstd: try buffer(isUsed ? 1 : 0))
        }
        let unnormed =
            configuration.normalizesHeads ? wide - configuration.keyValueHeadCount * configuration.headSize : 0
        // Without a backward pass all blocks can share one block's memory; with recomputation, all but its start.
        let isShared = !training || recomputes
        // The blocks themselves are more than memory holds in a plan of the largest sizes, and products saturate.
        let logitCount = hasHead ? Products.headBlockRows(of: rows) * configuration.vocabularySize : 0
        let wideCount = saturatingProduct(kept, max(expansion, wide))
        let hiddenCount = saturatingProduct(rows, expansion)
        // On a border of cache lines.
        let hiddenStart = saturatingSum(wideCount, 63) / 64 * 64
        let hiddenEnd = saturatingSum(hiddenStart, hiddenCount)
        let wideMemory: Buffer<E> = try memory.buffer(
            .logits, max(logitCount, isShared ? hiddenEnd : wideCount))
        logits = wideMemory[0..<logitCount]
        wideGradient = wideMemory[0..<wideCount]
        func hidden() throws(KernelError) -> BufferSlice<E> {
            if isShared { return wideMemory[hiddenStart..<hiddenEnd] }
            let own: Buffer<E> = try buffer(expansion)
            return own.all
        }
        func block() throws(KernelError) -> Block {
            Block(
                residual: try buffer(c), middle: try buffer(c), queryKeyValue: try buffer(wide),
                unnormed: try buffer(unnormed), attention: try buffer(attention),
                logSumExp: try buffer(configuration.headCount), hidden: try hidden(),
                norm1: try statistics(), norm2: try statistics())
        }
        let first = try block()
        var blocks = [first]
        for _ in 1..<configuration.layerCount {
            if !training {
                blocks.append(first)
            } else if recomputes {
                blocks.append(
                    Block(
                        residual: try buffer(c), middle: first.middle, queryKeyValue: first.queryKeyValue,
                        unnormed: first.unnormed, attention: first.attention, logSumExp: first.logSumExp,
                        hidden: first.hidden, norm1: first.norm1, norm2: first.norm2))
            } else {
                blocks.append(try block())
            }
        }
        self.blocks = blocks
        embedding = try buffer(configuration.normalizesEmbedding ? c : 0)
        embeddingNorm = NormStatistics(
            mean: try buffer(0), rstd: try buffer(configuration.normalizesEmbedding ? 1 : 0))
        finalResidual = isShared ? first.middle : try buffer(c)
        finalNorm = try statistics()
        normed = try buffer(c)
        // What attention's output needs in the backward pass is as wide as its heads.
        branch = try buffer(training ? max(c, attention) : c)
        if isShared, !configuration.isGated {
            activated = first.hidden
        } else {
            let own: Buffer<E> = try buffer(inner)
            activated = own.all
        }
        losses = try buffer(1)
        rotary = try configuration.positions.rotary.map { rotary throws(KernelError) in
            try RotaryTable(
                positions: configuration.contextLength, frequencies: rotary.frequencies, memory: memory)
        }
        powers = try memory.buffer(.scratch, hasHead ? threads : 0, (configuration.vocabularySize + 15) / 16 * 16)
        residualGradient = try buffer(c, rows: kept)
        let same = dropsBranches ? nil : residualGradient as? Buffer<E>
        branchGradient = if let same { same } else { try buffer(c, rows: kept) }
        normedGradient = branch[0..<kept * c]
        let own: Buffer<E> = try buffer(configuration.hasParallelResidual ? attention : 0, rows: kept)
        attentionGradient = configuration.hasParallelResidual ? own.all : branch[0..<saturatingProduct(kept, attention)]
        // LayerNorm sums three vectors of its columns; what is gated has two layers.
        partials = try Partials(
            rows: training ? rows : 1, columns: max(expansion, wide, 3 * c, 2 * configuration.headSize), memory: memory)
    }
}
