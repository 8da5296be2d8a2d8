import Kernels
import Transformer

/// What a model can have otherwise than GPT-2, one by one, by family, and many at once.
enum Variants {
    static let all = ofGPT2.merging(ofFamilies) { first, _ in first }.merging(gated) { first, _ in first }
    static let names = all.keys.sorted()

    private static let ofGPT2: [String: Families.Variant] = [
        "exact GELU": { $0.activation = .gelu },
        "ReLU": { $0.activation = .relu },
        "squared ReLU": { $0.activation = .reluSquared },
        "SiLU": { $0.activation = .silu },
        "a narrow MLP": { $0.innerSize = 5 },
        "a wide MLP": { $0.innerSize = 67 },
        "a large epsilon": { $0.normEpsilon = 0.3 },
        "scores as they are": { $0.scalesAttention = false },
        "scores by layer": { $0.scalesAttentionByLayer = true },
        "a head of its own": { $0.hasTiedHead = false },
        "RMSNorm": { $0.norm = .rms },
        "RMSNorm without weights": { $0.norm = .plainRMS },
        "a norm after the embedding": { $0.normalizesEmbedding = true },
        "rotary positions": { Families.heads(&$0, 3, keyValueHeads: 3, size: 4) },
        "heads that share": { ($0.headCount, $0.keyValueHeadCount, $0.headSize) = (6, 2, 2) },
        "heads of odd size": { $0.headSize = 5 },
        "no biases": { Families.withoutBiases(&$0) },
        "biases on queries, keys and values alone": { ($0.hasProjectionBias, $0.hasMLPBias) = (false, false) },
        "biases on the projection alone": { ($0.hasQueryKeyValueBias, $0.hasMLPBias) = (false, false) },
        "biases in the MLP alone": { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (false, false) },
        "a parallel residual": { $0.hasParallelResidual = true },
        "a soft-cap": { $0.logitSoftCap = 1.5 },
        "all": {
            ($0.activation, $0.innerSize, $0.normEpsilon) = (.relu, 33, 0.01)
            ($0.scalesAttention, $0.scalesAttentionByLayer, $0.hasTiedHead) = (false, true, false)
        },
        "all of the rest": {
            Families.heads(&$0, 6, keyValueHeads: 2, size: 6)
            Families.scale(&$0, Families.llama3Scaling)
            ($0.norm, $0.normEpsilon, $0.normalizesEmbedding) = (.rms, 0.01, true)
            ($0.hasProjectionBias, $0.scalesAttentionByLayer) = (false, true)
            ($0.activation, $0.innerSize) = (.gelu, 33)
            ($0.hasParallelResidual, $0.hasTiedHead, $0.logitSoftCap) = (true, false, 2)
        },
    ]

    private static let ofFamilies = Families.all.merging([
        "llama, linear scaling": {
            Families.llama(&$0)
            Families.scale(&$0, .linear(factor: 2.5))
        },
        "llama, scaling of Llama 3": {
            Families.llama(&$0)
            Families.scale(&$0, Families.llama3Scaling)
        },
        "llama, LayerNorm and all biases": {
            Families.llama(&$0)
            ($0.norm, $0.normEpsilon) = (.layerNorm, 1e-5)
            ($0.hasQueryKeyValueBias, $0.hasProjectionBias, $0.hasMLPBias) = (true, true, true)
        },
        "llama, all": {
            Families.llama(&$0)
            Families.heads(&$0, 3, keyValueHeads: 1, size: 8)
            $0.positions = .rotary(RotaryPositions(theta: 100, rotatedSize: 6, scaling: Families.llama3Scaling))
            ($0.hasQueryKeyValueBias, $0.hasProjectionBias, $0.hasMLPBias) = (true, true, true)
            ($0.normalizesHeads, $0.normalizesEmbedding, $0.hasParallelResidual) = (true, true, true)
            ($0.activation, $0.innerSize, $0.normEpsilon) = (.geluTanh, 33, 0.01)
            ($0.scalesAttentionByLayer, $0.hasTiedHead, $0.logitSoftCap) = (true, true, 2)
        },
        "gpt-neox, not parallel": {
            Families.neoX(&$0)
            $0.hasParallelResidual = false
        },
        "gpt-neox, all": {
            Families.neoX(&$0)
            $0.positions = .rotary(RotaryPositions(theta: 100, rotatedSize: 4, scaling: .linear(factor: 3)))
            ($0.norm, $0.normEpsilon, $0.normalizesEmbedding) = (.rms, 0.01, true)
            ($0.activation, $0.scalesAttention, $0.hasTiedHead) = (.reluSquared, false, true)
            ($0.hasQueryKeyValueBias, $0.hasMLPBias, $0.logitSoftCap) = (false, false, 2)
        },
        "modern, soft-cap": {
            Families.modern(&$0)
            $0.logitSoftCap = 1.5
        },
        "modern, tied head": {
            Families.modern(&$0)
            $0.hasTiedHead = true
        },
        "modern, gated and parallel": {
            Families.modern(&$0)
            ($0.isGated, $0.hasParallelResidual, $0.hasMLPBias) = (true, true, true)
        },
    ]) { first, _ in first }

    private static let gated = Activation.allCases.reduce(into: [String: Families.Variant]()) { variants, activation in
        variants["gated \(activation.rawValue)"] = {
            Families.llama(&$0)
            ($0.activation, $0.hasMLPBias) = (activation, true)
        }
    }
}
