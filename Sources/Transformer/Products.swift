import Kernels

/// Every matrix product of a step, planned once for its shape.
struct Products {
    /// The three products of a linear layer with weights [in, out].
    struct Linear {
        let name: MatrixProduct
        /// y[N, out] = x[N, in] · w + bias.
        let forward: Matmul
        /// dx[N, in] = dy[N, out] · wᵀ.
        let inputGradient: Matmul?
        /// dw[in, out] = xᵀ · dy, fp32.
        let weightGradient: Matmul?
    }

    /// A block of the head's rows. Its weights w are [V, C], often the token embedding: logits[rows, V] = x · wᵀ,
    /// dx[rows, C] = dlogits · w, and dw[V, C] (+)= dlogitsᵀ · x, where the first block overwrites.
    typealias Head = (rows: Range<Int>, products: Linear)

    let queryKeyValue: Linear
    let attentionProjection: Linear
    let expansion: Linear
    let contraction: Linear
    let head: [Head]

    init(
        _ workspace: Workspace, _ configuration: GPTConfiguration, rows: Int, precision: Precision, training: Bool
    ) throws(KernelError) {
        func product(
            _ layout: Matmul.Layout, _ rows: Int, _ inner: Int, _ columns: Int, bias: Bool = false,
            accumulates: Bool = false, operand: PackedOperand? = nil
        ) throws(KernelError) -> Matmul {
            try Matmul(
                workspace, layout, rows: rows, inner: inner, columns: columns, input: precision,
                output: layout == .aTransposed ? .fp32 : precision, bias: bias, accumulates: accumulates,
                operand: operand)
        }
        func linear(_ name: MatrixProduct, _ input: Int, _ output: Int) throws(KernelError) -> Linear {
            Linear(
                name: name, forward: try product(.plain, rows, input, output, bias: true),
                inputGradient: training ? try product(.bTransposed, rows, output, input) : nil,
                weightGradient: training ? try product(.aTransposed, input, rows, output) : nil)
        }
        let (c, inner) = (configuration.embeddingSize, configuration.innerSize)
        let vocabulary = configuration.vocabularySize
        queryKeyValue = try linear(.queryKeyValue, c, 3 * c)
        attentionProjection = try linear(.attentionProjection, c, c)
        expansion = try linear(.expansion, c, inner)
        contraction = try linear(.contraction, inner, c)
        // The embedding is packed once for all blocks, in the order of each product.
        let logitsOperand = try PackedOperand(workspace)
        let gradientOperand = try PackedOperand(workspace)
        head = try Self.headBlocks(rows: rows).map { block throws(KernelError) in
            let count = block.count
            let first = block.lowerBound == 0
            let linear = Linear(
                name: .head, forward: try product(.bTransposed, count, c, vocabulary, operand: logitsOperand),
                inputGradient: training ? try product(.plain, count, vocabulary, c, operand: gradientOperand) : nil,
                weightGradient: training ? try product(.aTransposed, vocabulary, count, c, accumulates: !first) : nil)
            return (rows: block, products: linear)
        }
    }

    /// How the head cuts the rows of a micro-batch into blocks, so that all logits never exist at once.
    static func headBlocks(rows: Int) -> [Range<Int>] {
        let most = min(rows, max(64, min(512, (rows / 2 + 63) / 64 * 64)))
        return stride(from: 0, to: rows, by: most).map { $0..<min($0 + most, rows) }
    }
}
