import Kernels
import Transformer

/// The least times of a step's parts that arithmetic and memory traffic allow, for one rank.
package struct StepFloors {
    private let shape: GPTConfiguration
    private let rows: Double
    private let bytes: Double
    private let flopsPerMillisecond: Double
    private let bytesPerMillisecond: Double
    private let reductionPerMillisecond: Double?

    /// - Parameters:
    ///   - tokens: tokens of one rank in a step.
    ///   - ceilings: the speeds that bound it; a missing one counts as almost none.
    package init(_ shape: GPTConfiguration, tokens: Int, precision: Precision, ceilings: MachineCeilings) {
        self.shape = shape
        rows = Double(tokens)
        bytes = Double(precision.byteCount)
        flopsPerMillisecond = max(1, (ceilings.matmulTogether[precision.rawValue] ?? 1) * 1e6)
        bytesPerMillisecond = max(1, ceilings.memoryGigabytes * 1e6)
        reductionPerMillisecond = ceilings.reductionGigabytes.map { max(1, $0 * 1e6) }
    }

    /// The least milliseconds of these phases together in a step; 0 for phases that have no floor.
    package func milliseconds(_ phases: [Phase]) -> Double { phases.reduce(0) { $0 + milliseconds($1) } }

    /// The floating-point operations behind the floor of phases that are matrix products.
    func flops(_ phases: [Phase]) -> Double { milliseconds(phases) * flopsPerMillisecond }

    private func milliseconds(_ phase: Phase) -> Double {
        let c = Double(shape.embeddingSize)
        let layers = Double(shape.layerCount)
        let vocabulary = Double(shape.vocabularySize)
        let context = Double(shape.contextLength)
        let parameters = Double(shape.parameterCount)
        func product(_ input: Double, _ output: Double) -> Double { 2 * rows * input * output / flopsPerMillisecond }
        func traffic(_ bytes: Double) -> Double { bytes / bytesPerMillisecond }
        switch phase {
        case .queryKeyValueForward, .queryKeyValueInputGradient, .queryKeyValueWeightGradient:
            return layers * product(c, 3 * c)
        case .attentionProjectionForward, .attentionProjectionInputGradient, .attentionProjectionWeightGradient:
            return layers * product(c, c)
        case .expansionForward, .expansionInputGradient, .expansionWeightGradient, .contractionForward,
            .contractionInputGradient, .contractionWeightGradient:
            return layers * product(c, 4 * c)
        case .headForward, .headInputGradient, .headWeightGradient: return product(c, vocabulary)
        // Two products forward and five backward, over half of the square.
        case .attentionForward: return layers * 2 * rows * context * c / flopsPerMillisecond
        case .attentionBackward: return layers * 5 * rows * context * c / flopsPerMillisecond
        case .crossEntropy: return traffic(2 * rows * vocabulary * bytes)
        // Forward: stream and branch in, sum and output out; backward: two in, stream in and out, two out.
        case .norm: return traffic((2 * layers + 1) * rows * c * (8 + 2 * bytes + 12 + 3 * bytes))
        case .activation: return traffic(layers * rows * 4 * c * 6 * bytes)
        case .biasGradient: return traffic(layers * rows * 3 * c * bytes)
        case .embedding: return traffic(2 * rows * c * 12)
        case .optimizer: return traffic(parameters * (28 + (bytes == 2 ? 2 : 0)))
        case .gradientNorm: return traffic(parameters * 4)
        case .reduction: return reductionPerMillisecond.map { parameters * 4 / $0 } ?? 0
        default: return 0
        }
    }
}
