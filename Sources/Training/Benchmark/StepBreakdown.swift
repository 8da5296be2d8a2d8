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

    /// Median milliseconds of the parts of these names.
    func milliseconds(_ names: String...) -> Double {
        parts.filter { names.contains($0.name) }.reduce(0) { $0 + $1.milliseconds }
    }

    /// Adds up the events of several steps: `timelines` has one list a step.
    ///
    /// - Parameters:
    ///   - tokens: tokens of one rank in a step.
    ///   - ceilings: what the floors follow from.
    ///   - muon: what its matrices need of the rank; nil without it.
    package init(
        _ timelines: [[Timeline.Event]], _ shape: DecoderConfiguration, tokens: Int, precision: Precision,
        ceilings: MachineCeilings, muon: MuonWork? = nil
    ) {
        let floors = StepFloors(shape, tokens: tokens, precision: precision, ceilings: ceilings, muon: muon)
        func perStep(_ phases: [Phase]) -> [Double] {
            timelines.map { events in
                events.reduce(0.0) { $0 + (phases.contains($1.phase) ? Double($1.end - $1.start) / 1e6 : 0) }
            }
        }
        parts = StepPart.all.compactMap { part in
            let times = perStep(part.work.map(\.phase))
            guard median(times) > 0 else { return nil }
            return Part(
                name: part.name, milliseconds: median(times), bestMilliseconds: times.min() ?? 0,
                floorMilliseconds: Double(part.work.count) * part.floor(floors))
        }
        products = zip(MatrixProduct.allCases, StepPart.all).map { product, part in
            let flops = part.floor(floors) * floors.flopsPerMillisecond
            func speed(_ direction: Phase.Direction) -> Double {
                let time = median(perStep([.product(product, direction)]))
                return time > 0 ? flops / time / 1e6 : 0
            }
            return Product(
                name: product.rawValue, forward: speed(.forward), inputGradient: speed(.inputGradient),
                weightGradient: speed(.weightGradient))
        }
    }
}
