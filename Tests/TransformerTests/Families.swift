import Transformer

/// What families have otherwise than GPT-2, with small sizes that hide nothing: heads that do not fill the width, shared
/// keys and values, and a base at which every pair of columns turns within a few tokens.
enum Families {
    typealias Variant = @Sendable (inout DecoderConfiguration) -> Void

    static let all: [String: Variant] = [
        "gpt2": { _ in },
        "llama": { llama(&$0) },
        "mistral": {
            llama(&$0, .mistral)
            heads(&$0, 6, keyValueHeads: 3, size: 4)
        },
        "qwen2": {
            llama(&$0, .qwen2)
            ($0.hasQueryKeyValueBias, $0.hasTiedHead) = (true, true)
        },
        "qwen3": {
            llama(&$0, .qwen3)
            heads(&$0, 3, keyValueHeads: 1, size: 8)
            ($0.normalizesHeads, $0.hasTiedHead) = (true, true)
        },
        "gpt-neox": { neoX(&$0) },
        "modern": { modern(&$0) },
    ]

    static let names = all.keys.sorted()

    static func llama(_ configuration: inout DecoderConfiguration, _ architecture: Architecture = .llama) {
        configuration.architecture = architecture
        heads(&configuration, 4, keyValueHeads: 2, size: 6)
        (configuration.norm, configuration.normEpsilon) = (.rms, 1e-6)
        (configuration.activation, configuration.isGated, configuration.innerSize) = (.silu, true, 20)
        withoutBiases(&configuration)
        (configuration.hasTiedHead, configuration.initialization) = (false, .plain)
    }

    static func neoX(_ configuration: inout DecoderConfiguration) {
        configuration.architecture = .gptNeoX
        heads(&configuration, 3, keyValueHeads: 3, size: 4)
        configuration.positions = .rotary(RotaryPositions(theta: 100, rotatedSize: 2))
        (configuration.interleavesHeads, configuration.hasParallelResidual) = (true, true)
        (configuration.activation, configuration.innerSize) = (.gelu, 40)
        (configuration.hasTiedHead, configuration.initialization) = (false, .plain)
    }

    static func modern(_ configuration: inout DecoderConfiguration) {
        configuration.architecture = .modern
        heads(&configuration, 2, keyValueHeads: 1, size: 8)
        (configuration.norm, configuration.normEpsilon) = (.plainRMS, 1e-6)
        (configuration.normalizesEmbedding, configuration.normalizesHeads) = (true, true)
        (configuration.activation, configuration.innerSize) = (.reluSquared, 24)
        withoutBiases(&configuration)
        (configuration.hasTiedHead, configuration.initialization) = (false, .zeroProjections)
    }

    /// Sets the heads, whose positions are rotary.
    static func heads(_ configuration: inout DecoderConfiguration, _ heads: Int, keyValueHeads: Int, size: Int) {
        (configuration.headCount, configuration.keyValueHeadCount) = (heads, keyValueHeads)
        configuration.headSize = size
        configuration.positions = .rotary(RotaryPositions(theta: 100, rotatedSize: size))
    }

    static func withoutBiases(_ configuration: inout DecoderConfiguration) {
        (configuration.hasQueryKeyValueBias, configuration.hasProjectionBias) = (false, false)
        configuration.hasMLPBias = false
    }

    /// As Llama 3.1 has it. Of a head of six columns and base 100, the first pair stays as it is (a turn in 6 tokens), the
    /// second is slower in part (29 tokens) and the third by the factor (135).
    static let llama3Scaling = RotaryPositions.Scaling.llama3(
        factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 64)

    static func scale(_ configuration: inout DecoderConfiguration, _ scaling: RotaryPositions.Scaling) {
        guard var rotary = configuration.positions.rotary else { return }
        rotary.scaling = scaling
        configuration.positions = .rotary(rotary)
    }
}
