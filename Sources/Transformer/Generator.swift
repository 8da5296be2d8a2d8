import Kernels

// C: embedding size, T: context, V: vocabulary.

/// Continues a text token by token, keeping the keys and values of what it has seen. fp32, one sequence.
///
/// When the context is full the older half is forgotten and the newer half is read again from position 0.
package final class Generator {
    private let model: GPT<Float>
    /// [T, C] each, of every layer.
    private let caches: [(keys: Buffer<Float>, values: Buffer<Float>)]
    private let scores: Buffer<Float>
    private var seen: [Int32] = []
    /// How many of the tokens that were read it has forgotten.
    package private(set) var forgottenCount = 0
    /// How many it can have before it.
    package var contextLength: Int { model.configuration.contextLength }
    /// The model's weights, to be filled by the caller.
    package var weights: Buffer<Float> { model.weights }
    /// Where each tensor lies in them.
    package var layout: ParameterLayout { model.layout }

    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    package init(
        _ configuration: GPTConfiguration, compute: Compute, memory: Memory = Memory()
    ) throws(KernelError) {
        func cache() throws(KernelError) -> Buffer<Float> {
            try memory.buffer(.activations, configuration.contextLength, configuration.embeddingSize)
        }
        caches = try (0..<configuration.layerCount).map { _ throws(KernelError) in
            (keys: try cache(), values: try cache())
        }
        scores = try memory.buffer(.activations, (configuration.contextLength + 15) / 16 * 16)
        model = try GPT(configuration, microBatch: 1, context: 1, compute: compute, training: false, memory: memory)
    }

    /// Reads one more token and returns the logits [V] of what comes after it.
    /// - Throws: `KernelError` when oneDNN fails.
    package func logits(after token: Int32) throws -> [Float] {
        if seen.count == contextLength {
            let kept = seen.suffix(contextLength / 2)
            forgottenCount += seen.count - kept.count
            seen = []
            for old in kept { try read(old) }
        }
        try read(token)
        let logits = model.headLogits(model.products.head[0])
        try model.compute.requireSuccess()
        return logits.array()
    }

    /// Runs one token through the blocks.
    private func read(_ token: Int32) throws {
        model.inputs.set([token])
        try model.forwardBlocks(from: seen.count) { layer, block in
            CachedAttention.forward(
                qkv: block.queryKeyValue.all, keys: caches[layer].keys.all, values: caches[layer].values.all,
                position: seen.count, heads: model.configuration.headCount, headSize: model.configuration.headSize,
                scale: model.configuration.attentionScale(layer: layer), scores: scores.all,
                output: block.attention.all)
        }
        seen.append(token)
    }
}
