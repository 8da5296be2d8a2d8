import Kernels
import Transformer

/// Where a step's time goes, each part beside the least time that the machine's ceilings allow it.
package struct StepBreakdown: Codable, Sendable {
    /// One part of a step.
    package struct Part: Codable, Sendable {
        /// As in the report.
        package var name: String
        /// Median milliseconds of a step.
        package var milliseconds: Double
        /// The least milliseconds of any step: what a noisy machine hides.
        package var bestMilliseconds: Double
        /// What the ceilings allow.
        package var floorMilliseconds: Double
    }

    /// The speed of one kind of matmul in its three directions, in GFLOP/s of one rank.
    package struct Product: Codable, Sendable {
        /// As in the report.
        package var name: String
        /// y = x · w.
        package var forward: Double
        /// dx = dy · wᵀ.
        package var inputGradient: Double
        /// dw = xᵀ · dy.
        package var weightGradient: Double
    }

    /// In the order of the report, parts that did not occur left out.
    package var parts: [Part]
    /// The kinds of matmul.
    package var products: [Product]

    /// Adds up the events of several steps: `timelines` has one list a step.
    ///
    /// - Parameters:
    ///   - tokens: tokens of one rank in a step.
    ///   - ceilings: what the floors follow from.
    package init(
        _ timelines: [[Timeline.Event]], _ shape: GPTConfiguration, tokens: Int, precision: Precision,
        ceilings: MachineCeilings
    ) {
        let floors = StepFloors(shape, tokens: tokens, precision: precision, ceilings: ceilings)
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
                return time > 0 ? floors.flops([phase]) / time / 1e6 : 0
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
