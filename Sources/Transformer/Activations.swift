import Kernels

// N: rows, C: embedding size, I: inner size, L: layers, B · H · T: one number a head and row.

/// All memory of a micro-batch's forward and backward pass, reserved once.
///
/// Kept for the backward pass are the residual stream, the attention's input and output and the MLP's hidden layer
/// before its activation. Outputs of norms and of the activation are cheaper to compute again than to keep.
final class Activations<E: ActivationElement> {
    /// What one block keeps.
    struct Block {
        /// [N, C] the residual stream that enters the block.
        let residual: Buffer<Float>
        /// [N, C] the residual stream between attention and MLP.
        let middle: Buffer<Float>
        /// [N, 3C] queries, keys and values side by side.
        let queryKeyValue: Buffer<E>
        /// [N, C] the heads' outputs side by side.
        let attention: Buffer<E>
        /// [B, H, T] log of each softmax's denominator.
        let logSumExp: Buffer<Float>
        /// [N, I] the MLP's hidden layer before the activation.
        let hidden: Buffer<E>
        let norm1: NormStatistics
        let norm2: NormStatistics
    }

    /// [N] each: what a norm's backward pass needs besides its input.
    struct NormStatistics {
        let mean: Buffer<Float>
        let rstd: Buffer<Float>
    }

    let blocks: [Block]
    /// [N, C] the residual stream after the last block.
    let finalResidual: Buffer<Float>
    let finalNorm: NormStatistics
    /// [N, C] a norm's output: the operand of the next matmul.
    let normed: Buffer<E>
    /// [N, C] what a block adds to the residual stream; in the backward pass `normedGradient`.
    let branch: Buffer<E>
    /// [N, I] the activation's output.
    let activated: Buffer<E>
    /// [rows of a block, vocabulary]: logits, then their gradient. The head runs between the two passes, so they share
    /// memory with `wideGradient`.
    let logits: BufferSlice<E>
    /// One row of exponentials a thread.
    let powers: Buffer<Float>
    /// [N]
    let losses: Buffer<Float>

    // Gradients.
    /// [N, C] of the residual stream.
    let residualGradient: Buffer<Float>
    /// [N, C] the same as a matmul operand; the same memory in fp32.
    let branchGradient: Buffer<E>
    /// [N, C] of a norm's output or the attention's output.
    var normedGradient: Buffer<E> { branch }
    /// Of the MLP's hidden layer, [N, I]; later of queries, keys and values, [N, 3C].
    let wideGradient: BufferSlice<E>
    let partials: Partials

    /// - Throws: `KernelError` when memory cannot be reserved.
    init(
        _ configuration: GPTConfiguration, rows: Int, threads: Int, training: Bool, memory: Memory
    ) throws(KernelError) {
        let (c, inner) = (configuration.embeddingSize, configuration.innerSize)
        let widest = max(inner, 3 * c)
        func buffer<Element>(_ columns: Int, rows: Int = rows) throws(KernelError) -> Buffer<Element> {
            try memory.buffer(.activations, rows, columns)
        }
        func statistics() throws(KernelError) -> NormStatistics {
            NormStatistics(mean: try buffer(1), rstd: try buffer(1))
        }
        func block() throws(KernelError) -> Block {
            Block(
                residual: try buffer(c), middle: try buffer(c), queryKeyValue: try buffer(3 * c),
                attention: try buffer(c), logSumExp: try buffer(configuration.headCount), hidden: try buffer(inner),
                norm1: try statistics(), norm2: try statistics())
        }
        // Without a backward pass all blocks can share one block's memory.
        var blocks = [try block()]
        for _ in 1..<configuration.layerCount { blocks.append(training ? try block() : blocks[0]) }
        self.blocks = blocks
        finalResidual = try buffer(c)
        finalNorm = try statistics()
        normed = try buffer(c)
        branch = try buffer(c)
        activated = try buffer(inner)
        losses = try buffer(1)
        powers = try memory.buffer(.scratch, threads, (configuration.vocabularySize + 15) / 16 * 16)
        let kept = training ? rows : 0
        residualGradient = try buffer(c, rows: kept)
        let same = residualGradient as? Buffer<E>
        branchGradient = if let same { same } else { try buffer(c, rows: kept) }
        let logitCount = (Products.headBlocks(rows: rows).first?.count ?? 0) * configuration.vocabularySize
        let wideCount = saturatingProduct(kept, widest)
        let wide: Buffer<E> = try memory.buffer(.logits, max(logitCount, wideCount))
        logits = wide[0..<logitCount]
        wideGradient = wide[0..<wideCount]
        partials = try Partials(rows: training ? rows : 1, columns: widest, memory: memory)
    }
}
