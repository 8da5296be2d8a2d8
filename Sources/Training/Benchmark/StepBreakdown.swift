import Kernels
import Transformer

/// Where a step's time goes, each part beside the least time that the machine's ceilings allow it.
public struct StepBreakdown: Codable, Sendable {
    /// One part of a step.
    public struct Part: Codable, Sendable {
        /// As in the report.
        public var name: String
        /// Median milliseconds of a step.
        public var milliseconds: Double
        /// The least milliseconds of any step: what a noisy machine hides.
        public var bestMilliseconds: Double
        /// What the ceilings allow.
        public var floorMilliseconds: Double
    }

    /// The speed of one kind of matmul in its three directions, in GFLOP/s of one rank.
    public struct Product: Codable, Sendable {
        /// As in the report.
        public var name: String
        /// y = x · w.
        public var forward: Double
        /// dx = dy · wᵀ.
        public var inputGradient: Double
        /// dw = xᵀ · dy.
        public var weightGradient: Double
    }

    /// In the order of the report, parts that did not occur left out.
    public var parts: [Part]
    /// The kinds of matmul.
    public var products: [Product]

    /// Adds up the events of several steps.
    init(
        _ timelines: [[Timeline.Event]], _ shape: GPTConfiguration, tokens: Int, precision: Precision,
        ceilings: MachineCeilings
    ) {
        let floors = Floors(shape, tokens: tokens, precision: precision, ceilings: ceilings)
        func perStep(_ phases: [Phase]) -> [Double] {
            timelines.map { events in
                events.reduce(0.0) { $0 + (phases.contains($1.phase) ? Double($1.end - $1.start) / 1e6 : 0) }
            }
        }
        parts = []
        for group in Self.groups {
            let times = perStep(group.phases)
            let time = median(times)
            if time > 0 {
                parts.append(
                    Part(
                        name: group.name, milliseconds: time, bestMilliseconds: times.min() ?? time,
                        floorMilliseconds: floors.milliseconds(group.phases)))
            }
        }
        products = Self.products.map { name, phases in
            let speeds = phases.map { phase in
                let time = median(perStep([phase]))
                return time > 0 ? floors.milliseconds([phase]) * floors.flopsPerMillisecond / time / 1e6 : 0
            }
            return Product(name: name, forward: speeds[0], inputGradient: speeds[1], weightGradient: speeds[2])
        }
    }

    /// Kinds of matmul with their three directions.
    private static let products: [(name: String, phases: [Phase])] = [
        ("c_attn", [.queryKeyValueForward, .queryKeyValueInputGradient, .queryKeyValueWeightGradient]),
        (
            "attn.c_proj",
            [
                .attentionProjectionForward, .attentionProjectionInputGradient, .attentionProjectionWeightGradient,
            ]
        ),
        ("c_fc", [.expansionForward, .expansionInputGradient, .expansionWeightGradient]),
        ("mlp.c_proj", [.contractionForward, .contractionInputGradient, .contractionWeightGradient]),
        ("lm_head", [.headForward, .headInputGradient, .headWeightGradient]),
    ]

    private static let groups: [(name: String, phases: [Phase])] =
        products.map { ("matmul \($0)", $1) } + [
            ("attention forward", [.attentionForward]),
            ("attention backward", [.attentionBackward]),
            ("cross-entropy", [.crossEntropy]),
            ("norms and residuals", [.norm]),
            ("GELU", [.activation]),
            ("bias gradients", [.biasGradient]),
            ("embeddings", [.embedding]),
            ("optimizer", [.optimizer]),
            ("gradient norm", [.gradientNorm]),
            ("reduction", [.reduction]),
            ("waiting", [.waiting]),
            ("reading tokens", [.data]),
        ]
}

/// The least times that arithmetic and memory traffic allow.
private struct Floors {
    let shape: GPTConfiguration
    let rows: Double
    let bytes: Double
    let flopsPerMillisecond: Double
    let bytesPerMillisecond: Double
    let reductionPerMillisecond: Double?

    init(_ shape: GPTConfiguration, tokens: Int, precision: Precision, ceilings: MachineCeilings) {
        self.shape = shape
        rows = Double(tokens)
        bytes = Double(precision.byteCount)
        flopsPerMillisecond = max(1, (ceilings.matmulTogether[precision.rawValue] ?? 1) * 1e6)
        bytesPerMillisecond = max(1, ceilings.memoryGigabytes * 1e6)
        reductionPerMillisecond = ceilings.reductionGigabytes.map { max(1, $0 * 1e6) }
    }

    func milliseconds(_ phases: [Phase]) -> Double { phases.reduce(0) { $0 + milliseconds($1) } }

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
