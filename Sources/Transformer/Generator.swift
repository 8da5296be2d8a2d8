import Kernels

// T: context, G: key/value heads, D: head size, V: vocabulary.

/// Continues a text, keeping the keys and values of what it has seen. One sequence.
///
/// A prompt is read in one pass of many rows, what follows token by token. When the context is full the older half is
/// forgotten and the newer half is read again from position 0, in one pass too.
package final class Generator<E: ActivationElement> {
    /// Reads one token.
    private let single: Decoder<E>
    /// Reads many at once, with the same weights; nil where there are never that many.
    private let many: Decoder<E>?
    /// [T, G · D] each, of every layer.
    private let caches: [(keys: Buffer<E>, values: Buffer<E>)]
    private let scores: Buffer<Float>
    /// Whether the weights are those of a model that goes on.
    private let isFollower: Bool
    private var seen: [Int32] = []
    /// How many tokens it can see at once.
    package var contextLength: Int { single.configuration.contextLength }
    /// The model's weights, to be filled by the caller, who then calls `refreshOperands`.
    package var weights: Buffer<Float> { single.weights }
    /// Where each tensor lies in them.
    package var layout: ParameterLayout { single.layout }

    /// - Parameters:
    ///   - promptLength: the tokens of the longest text that is read at once.
    ///   - length: the tokens of the whole text.
    ///   - model: one of the same shape and element whose weights this one reads, as they are at each moment; nil for
    ///     weights of its own.
    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    package init(
        _ configuration: DecoderConfiguration, promptLength: Int, length: Int, compute: Compute,
        sharing model: (any LanguageModel)? = nil, memory: Memory = Memory()
    ) throws(KernelError) {
        let context = configuration.contextLength
        let columns = configuration.keyValueHeadCount * configuration.headSize
        func cache() throws(KernelError) -> Buffer<E> { try memory.buffer(.activations, context, columns) }
        caches = try (0..<configuration.layerCount).map { _ throws(KernelError) in
            (keys: try cache(), values: try cache())
        }
        scores = try memory.buffer(
            .activations,
            CachedAttention.scoreCount(positions: context, columns: configuration.headColumns))
        let rows = max(min(promptLength, context), length > context ? context / 2 : 0)
        let owner = model as? Decoder<E>
        precondition(model == nil || owner != nil, "a model of other elements")
        isFollower = model != nil
        let single = try Decoder<E>(
            configuration, microBatch: 1, context: 1, compute: compute, training: false, sharing: owner, memory: memory)
        self.single = single
        many =
            rows > 1
            ? try Decoder<E>(
                configuration, microBatch: 1, context: rows, compute: compute, training: false, hasHead: false,
                sharing: single, memory: memory) : nil
    }

    /// Brings the matmul operands up to date with the weights.
    package func refreshOperands() { single.refreshOperands() }

    /// Reads the newest tokens of a text that begins, at most the context, and returns the logits [V] of what comes next.
    /// - Throws: `KernelError` when oneDNN fails.
    package func logits(after prompt: [Int32]) throws -> [Float] {
        precondition(!prompt.isEmpty, "no tokens to go on from")
        if isFollower { refreshOperands() }
        seen = []
        return try read(prompt.suffix(contextLength))
    }

    /// Reads one more token and returns the logits [V] of what comes after it.
    /// - Throws: `KernelError` when oneDNN fails.
    package func logits(after token: Int32) throws -> [Float] {
        if seen.count == contextLength {
            let kept = seen.suffix(contextLength / 2)
            seen = []
            if !kept.isEmpty { _ = try read(kept) }
        }
        return try read([token])
    }

    /// Runs tokens through the blocks and returns the logits after the last one. Several only at the start of a text.
    private func read(_ tokens: ArraySlice<Int32>) throws -> [Float] {
        let position = seen.count
        let model = tokens.count > 1 ? many ?? single : single
        let configuration = model.configuration
        precondition(tokens.count <= model.context && (position == 0 || tokens.count == 1), "too many tokens at once")
        // What stands behind the text is not seen by it.
        model.inputs.set(Array(tokens) + [Int32](repeating: 0, count: model.context - tokens.count))
        let columns = configuration.headColumns
        try model.forwardBlocks(from: position) { layer, block in
            let (keys, values) = (caches[layer].keys.all, caches[layer].values.all)
            if model === single {
                CachedAttention.forward(
                    qkv: block.queryKeyValue.all, keys: keys, values: values, position: position, columns: columns,
                    scale: configuration.attentionScale(layer: layer), scores: scores.all,
                    output: block.attention.all)
            } else {
                CachedAttention.store(
                    qkv: block.queryKeyValue.all, rows: tokens.count, columns: columns, keys: keys, values: values,
                    at: position)
                model.attend(layer, block)
            }
        }
        seen += tokens
        let width = configuration.embeddingSize
        let last = (tokens.count - 1) * width
        let logits = single.logits(after: model.activations.normed.array(last..<last + width))
        try model.compute.requireSuccess()
        return logits
    }
}
