import Kernels

// N: rows, C: embedding size, L: layers, B · H · T: one number a head and row.

/// All memory of a micro-batch's forward and backward pass, reserved once.
///
/// Kept for the backward pass are the residual stream, the attention's input and output and the MLP's hidden layer
/// before its activation. Outputs of norms and of GELU are cheaper to compute again than to keep.
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
        /// [N, 4C] the MLP's hidden layer before GELU.
        let hidden: Buffer<E>
        let norm1: NormStatistics
        let norm2: NormStatistics
    }

    /// [N] each: what a norm's backward pass needs besides its input.
    struct NormStatistics {
        let mean: Buffer<Float>
        let rstd: Buffer<Float>

        init(rows: Int) {
            mean = Buffer(count: rows)
            rstd = Buffer(count: rows)
        }
    }

    let blocks: [Block]
    /// [N, C] the residual stream after the last block.
    let finalResidual: Buffer<Float>
    let finalNorm: NormStatistics
    /// [N, C] a norm's output: the operand of the next matmul.
    let normed: Buffer<E>
    /// [N, C] what a block adds to the residual stream; in the backward pass `normedGradient`.
    let branch: Buffer<E>
    /// [N, 4C] GELU's output.
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
    /// [N, 4C] of the MLP's hidden layer; also [N, 3C] of queries, keys and values.
    let wideGradient: BufferSlice<E>
    let partials: Partials

    init(_ configuration: GPTConfiguration, rows: Int, threads: Int, training: Bool) {
        let c = configuration.embeddingSize
        let heads = configuration.headCount
        // Without a backward pass all blocks can share one block's memory.
        var blocks: [Block] = []
        for layer in 0..<configuration.layerCount {
            if !training, layer > 0 {
                blocks.append(blocks[0])
                continue
            }
            blocks.append(
                Block(
                    residual: Buffer(count: rows * c), middle: Buffer(count: rows * c),
                    queryKeyValue: Buffer(count: rows * 3 * c), attention: Buffer(count: rows * c),
                    logSumExp: Buffer(count: rows * heads), hidden: Buffer(count: rows * 4 * c),
                    norm1: NormStatistics(rows: rows), norm2: NormStatistics(rows: rows)))
        }
        self.blocks = blocks
        finalResidual = Buffer(count: rows * c)
        finalNorm = NormStatistics(rows: rows)
        normed = Buffer(count: rows * c)
        branch = Buffer(count: rows * c)
        activated = Buffer(count: rows * 4 * c)
        let head = HeadShape(configuration, rows: rows)
        powers = Buffer(count: threads * ((configuration.vocabularySize + 15) / 16 * 16))
        losses = Buffer(count: rows)
        let kept = training ? rows : 0
        residualGradient = Buffer(count: kept * c)
        branchGradient = (residualGradient as? Buffer<E>) ?? Buffer<E>(count: kept * c)
        let logitCount = head.blockRows * head.stride
        let wide = Buffer<E>(count: max(logitCount, kept * 4 * c))
        logits = wide[0..<logitCount]
        wideGradient = wide[0..<kept * 4 * c]
        partials = Partials(rows: training ? rows : 1, columns: 4 * c)
    }
}

/// How the language-model head cuts the rows of a micro-batch into blocks, so that all logits never exist at once.
struct HeadShape {
    /// Rows of all blocks but the last.
    let blockRows: Int
    /// Elements from one row of logits to the next; an odd number of cache lines, or columns would share cache sets.
    let stride: Int
    /// The blocks, as ranges of rows.
    let blocks: [Range<Int>]

    init(_ configuration: GPTConfiguration, rows: Int) {
        let half = (rows / 2 + 63) / 64 * 64
        let size = min(rows, max(64, min(512, half)))
        blockRows = size
        stride = configuration.vocabularySize
        blocks = Swift.stride(from: 0, to: rows, by: size).map { $0..<min($0 + size, rows) }
    }
}
