import Kernels

/// Every matrix product of a step, planned once for its shape.
struct Products {
    /// The three products of a linear layer with weights [in, out].
    struct Linear {
        /// y[N, out] = x[N, in] · w + bias.
        let forward: Matmul
        /// dx[N, in] = dy[N, out] · wᵀ.
        let inputGradient: Matmul?
        /// dw[in, out] = xᵀ · dy, fp32.
        let weightGradient: Matmul?
    }

    /// The products of one block of the head, with the token embedding [V, C] as weights.
    struct Head {
        let rows: Range<Int>
        /// logits[rows, V] = x · wteᵀ.
        let logits: Matmul
        /// dx[rows, C] = dlogits · wte.
        let inputGradient: Matmul?
        /// dwte[V, C] (+)= dlogitsᵀ · x, fp32; the first block overwrites.
        let weightGradient: Matmul?
    }

    let queryKeyValue: Linear
    let attentionProjection: Linear
    let expansion: Linear
    let contraction: Linear
    let head: [Head]
    let logitsStride: Int

    init(
        _ workspace: Workspace, _ configuration: GPTConfiguration, rows: Int, precision: Precision, training: Bool
    ) throws(KernelError) {
        func linear(_ input: Int, _ output: Int) throws(KernelError) -> Linear {
            Linear(
                forward: try Matmul(
                    workspace, .plain, rows: rows, inner: input, columns: output, input: precision, output: precision,
                    bias: true),
                inputGradient: !training
                    ? nil
                    : try Matmul(
                        workspace, .bTransposed, rows: rows, inner: output, columns: input, input: precision,
                        output: precision),
                weightGradient: !training
                    ? nil
                    : try Matmul(
                        workspace, .aTransposed, rows: input, inner: rows, columns: output, input: precision,
                        output: .fp32))
        }
        let c = configuration.embeddingSize
        let vocabulary = configuration.vocabularySize
        queryKeyValue = try linear(c, 3 * c)
        attentionProjection = try linear(c, c)
        expansion = try linear(c, 4 * c)
        contraction = try linear(4 * c, c)
        let shape = HeadShape(configuration, rows: rows)
        logitsStride = shape.stride
        var head: [Head] = []
        // The embedding is packed once for all blocks, in the order of each product.
        let logitsOperand = try PackedOperand(workspace)
        let gradientOperand = try PackedOperand(workspace)
        for block in shape.blocks {
            head.append(
                Head(
                    rows: block,
                    logits: try Matmul(
                        workspace, .bTransposed, rows: block.count, inner: c, columns: vocabulary, input: precision,
                        output: precision, cStride: shape.stride, operand: logitsOperand),
                    inputGradient: !training
                        ? nil
                        : try Matmul(
                            workspace, .plain, rows: block.count, inner: vocabulary, columns: c, input: precision,
                            output: precision, aStride: shape.stride, operand: gradientOperand),
                    weightGradient: !training
                        ? nil
                        : try Matmul(
                            workspace, .aTransposed, rows: vocabulary, inner: block.count, columns: c, input: precision,
                            output: .fp32, aStride: shape.stride, accumulates: block.lowerBound > 0)))
        }
        self.head = head
    }
}
