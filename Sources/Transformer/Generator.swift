import Kernels

// C: embedding size, T: context, V: vocabulary, L: layers.

/// Continues a text token by token, keeping the keys and values of what it has seen. fp32, one sequence.
///
/// When the context is full the older half is forgotten and the newer half is read again from position 0.
package final class Generator {
    private let configuration: GPTConfiguration
    private let layout: ParameterLayout
    private let weights: Buffer<Float>
    private let compute: Compute
    private let products: TokenProducts
    /// [T, C] each, of every layer.
    private let caches: [(keys: Buffer<Float>, values: Buffer<Float>)]
    private var seen: [Int32] = []
    /// How many of the tokens that were read it has forgotten.
    package private(set) var forgottenCount = 0
    /// How many it can have before it.
    package var contextLength: Int { configuration.contextLength }

    // One row each.
    private let residual: Buffer<Float>
    private let normed: Buffer<Float>
    private let branch: Buffer<Float>
    private let queryKeyValue: Buffer<Float>
    private let hidden: Buffer<Float>
    private let activated: Buffer<Float>
    private let scores: Buffer<Float>
    private let logits: Buffer<Float>
    private let statistics: Buffer<Float>

    /// Prepares generation from an arena of weights.
    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    package init(
        _ configuration: GPTConfiguration, weights: Buffer<Float>, compute: Compute, memory: Memory = Memory()
    ) throws(KernelError) {
        self.configuration = configuration
        layout = ParameterLayout(configuration)
        precondition(weights.count == layout.count, "weights of another layout")
        self.weights = weights
        self.compute = compute
        let c = configuration.embeddingSize
        func buffer(_ rows: Int, _ columns: Int = 1) throws(KernelError) -> Buffer<Float> {
            try memory.buffer(.activations, rows, columns)
        }
        let context = configuration.contextLength
        var caches: [(keys: Buffer<Float>, values: Buffer<Float>)] = []
        for _ in 0..<configuration.layerCount { caches.append((try buffer(context, c), try buffer(context, c))) }
        self.caches = caches
        residual = try buffer(c)
        normed = try buffer(c)
        branch = try buffer(c)
        queryKeyValue = try buffer(3 * c)
        hidden = try buffer(4 * c)
        activated = try buffer(4 * c)
        scores = try buffer((context + 15) / 16 * 16)
        logits = try buffer(configuration.vocabularySize)
        statistics = try buffer(2)
        try memory.requireRoom()
        products = try TokenProducts(Workspace(compute, memory: memory), configuration)
    }

    /// Reads one more token and returns the logits [V] of what comes after it.
    /// - Throws: `KernelError` when oneDNN fails.
    package func logits(after token: Int32) throws(KernelError) -> [Float] {
        precondition(token >= 0 && token < configuration.vocabularySize, "token \(token) outside the vocabulary")
        if seen.count == configuration.contextLength {
            let kept = seen.suffix(configuration.contextLength / 2)
            forgottenCount += seen.count - kept.count
            seen = []
            for old in kept { read(old) }
        }
        read(token)
        products.head.run(normed.all, tensor(layout.tokenEmbedding), into: logits.all)
        try compute.requireSuccess()
        return logits.array()
    }

    /// Runs one token through the blocks; the final norm's output is in `normed`.
    private func read(_ token: Int32) {
        let c = configuration.embeddingSize
        let position = seen.count
        let positionRow = tensor(layout.positionEmbedding)[position * c..<(position + 1) * c]
        let tokenRow = tensor(layout.tokenEmbedding)[Int(token) * c..<(Int(token) + 1) * c]
        Vector.add(tokenRow, positionRow, into: residual.all)
        for (layer, block) in layout.blocks.enumerated() {
            norm(block.norm1)
            linear(products.queryKeyValue, block.queryKeyValue, normed, queryKeyValue)
            CachedAttention.forward(
                qkv: queryKeyValue.all, keys: caches[layer].keys.all, values: caches[layer].values.all,
                position: position,
                heads: configuration.headCount, headSize: configuration.headSize, scores: scores.all,
                output: normed.all)
            linear(products.attentionProjection, block.attentionProjection, normed, branch)
            Vector.add(residual.all, branch.all, into: residual.all)
            norm(block.norm2)
            linear(products.expansion, block.expansion, normed, hidden)
            GELU.forward(compute.pool, hidden.all, into: activated.all)
            linear(products.contraction, block.contraction, activated, branch)
            Vector.add(residual.all, branch.all, into: residual.all)
        }
        norm(layout.finalNorm)
        seen.append(token)
    }

    private func tensor(_ index: Int) -> BufferSlice<Float> { weights[layout.parameters[index].range] }

    private func norm(_ slots: ParameterLayout.NormSlots) {
        LayerNorm.forward(
            compute.pool, residual: residual.all, adding: BufferSlice<Float>?.none, sum: residual.all,
            output: normed.all, weight: tensor(slots.weight), bias: tensor(slots.bias), mean: statistics[0..<1],
            rstd: statistics[1..<2], columns: configuration.embeddingSize)
    }

    private func linear(
        _ product: Matmul, _ slots: ParameterLayout.LinearSlots, _ x: Buffer<Float>, _ y: Buffer<Float>
    ) {
        product.run(x.all, tensor(slots.weight), into: y.all, bias: tensor(slots.bias))
    }
}

/// The matrix products of one token.
private struct TokenProducts {
    let queryKeyValue: Matmul
    let attentionProjection: Matmul
    let expansion: Matmul
    let contraction: Matmul
    let head: Matmul

    init(_ workspace: Workspace, _ configuration: GPTConfiguration) throws(KernelError) {
        func linear(_ input: Int, _ output: Int) throws(KernelError) -> Matmul {
            try Matmul(
                workspace, .plain, rows: 1, inner: input, columns: output, input: .fp32, output: .fp32, bias: true)
        }
        let c = configuration.embeddingSize
        queryKeyValue = try linear(c, 3 * c)
        attentionProjection = try linear(c, c)
        expansion = try linear(c, 4 * c)
        contraction = try linear(4 * c, c)
        head = try Matmul(
            workspace, .bTransposed, rows: 1, inner: c, columns: configuration.vocabularySize, input: .fp32,
            output: .fp32)
    }
}
