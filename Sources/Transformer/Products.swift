import Kernels

/// Every matrix product of a step, planned once for its shape.
struct Products {
    /// The three products of a linear layer with weights w, stored [in, out] or [out, in].
    struct Linear {
        let name: MatrixProduct
        /// y[N, out] = x[N, in] · w + bias.
        let forward: Matmul
        /// dx[N, in] = dy[N, out] · wᵀ.
        let inputGradient: Matmul?
        /// dw = xᵀ · dy or, stored [out, in], dyᵀ · x; fp32.
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
    /// Whether weights of linear layers are stored [in, out].
    let isInputMajor: Bool

    /// Bytes of the token embedding that are packed at once where memory counts for more than some per cent of time.
    private static let headOperandLimit = 16 << 20

    /// - Parameter savesMemory: packs the head's weights in parts, for each block of rows anew.
    init(
        _ workspace: Workspace, _ configuration: DecoderConfiguration, rows: Int, precision: Precision, training: Bool,
        hasHead: Bool, savesMemory: Bool
    ) throws(KernelError) {
        let isInputMajor = configuration.architecture.tensorNames.isInputMajor
        self.isInputMajor = isInputMajor
        func product(
            _ layout: Matmul.Layout, _ rows: Int, _ inner: Int, _ columns: Int, bias: Bool = false,
            accumulates: Bool = false, operand: PackedOperand? = nil, operandLimit: Int = .max
        ) throws(KernelError) -> Matmul {
            try Matmul(
                workspace, layout, rows: rows, inner: inner, columns: columns, input: precision,
                output: layout == .aTransposed ? .fp32 : precision, bias: bias, accumulates: accumulates,
                operand: operand, operandLimit: operandLimit)
        }
        func linear(
            _ name: MatrixProduct, _ input: Int, _ output: Int, bias: Bool
        ) throws(KernelError) -> Linear {
            let (forward, backward): (Matmul.Layout, Matmul.Layout) =
                isInputMajor ? (.plain, .bTransposed) : (.bTransposed, .plain)
            let (first, second) = isInputMajor ? (input, output) : (output, input)
            return Linear(
                name: name, forward: try product(forward, rows, input, output, bias: bias),
                inputGradient: training ? try product(backward, rows, output, input) : nil,
                weightGradient: training ? try product(.aTransposed, first, rows, second) : nil)
        }
        let c = configuration.embeddingSize
        let vocabulary = configuration.vocabularySize
        queryKeyValue = try linear(
            .queryKeyValue, c, configuration.queryKeyValueWidth, bias: configuration.hasQueryKeyValueBias)
        attentionProjection = try linear(
            .attentionProjection, configuration.attentionWidth, c, bias: configuration.hasProjectionBias)
        expansion = try linear(.expansion, c, configuration.expansionWidth, bias: configuration.hasMLPBias)
        contraction = try linear(.contraction, configuration.innerSize, c, bias: configuration.hasMLPBias)
        // The embedding is packed once for all blocks, in the order of each product, or in parts in what all share.
        let logitsOperand = savesMemory ? nil : try PackedOperand(workspace)
        let gradientOperand = savesMemory ? nil : try PackedOperand(workspace)
        let limit = savesMemory ? Self.headOperandLimit : .max
        head = try Self.headBlocks(rows: hasHead ? rows : 0).map { block throws(KernelError) in
            let count = block.count
            let first = block.lowerBound == 0
            let forward = try product(
                .bTransposed, count, c, vocabulary, operand: logitsOperand, operandLimit: limit)
            let inputGradient =
                training
                ? try product(.plain, count, vocabulary, c, operand: gradientOperand, operandLimit: limit) : nil
            let linear = Linear(
                name: .head, forward: forward, inputGradient: inputGradient,
                weightGradient: training ? try product(.aTransposed, vocabulary, count, c, accumulates: !first) : nil)
            return (rows: block, products: linear)
        }
    }

    /// Whether all products of weights pack them.
    var packWeights: Bool {
        let layers = [queryKeyValue, attentionProjection, expansion, contraction]
        return (layers + head.map(\.products)).allSatisfy { linear in
            linear.forward.isPacked && linear.inputGradient?.isPacked != false
        }
    }

    /// How the head cuts the rows of a micro-batch into blocks, so that all logits never exist at once.
    static func headBlocks(rows: Int) -> [Range<Int>] {
        let most = headBlockRows(of: rows)
        return stride(from: 0, to: rows, by: most).map { $0..<min($0 + most, rows) }
    }

    /// Rows of the largest of these blocks.
    static func headBlockRows(of rows: Int) -> Int {
        max(1, min(rows, max(64, min(512, (rows / 2 + 63) / 64 * 64))))
    }
}
