import Collectives
import Kernels
import Transformer

/// What the machine allows a run at best: the tokens a second if products ran as fast as large ones do here and all else
/// took no time. Measured once, before the steps, in less than a third of a second.
package struct RunCeiling: Sendable {
    /// Of all ranks.
    package let tokensPerSecond: Double

    /// - Parameters:
    ///   - gigaflops: what one rank multiplies in a second while all work, in 10⁹ operations.
    ///   - ranks: how many there are.
    package init(_ shape: DecoderConfiguration, _ precision: Precision, gigaflops: Double, ranks: Int) {
        var ceilings = MachineCeilings()
        ceilings.matmulTogether[precision.rawValue] = gigaflops
        let floors = StepFloors(shape, tokens: 1, precision: precision, ceilings: ceilings, muon: nil)
        let milliseconds = StepPart.all.filter(\.isProduct).reduce(0) { $0 + Double($1.work.count) * $1.floor(floors) }
        tokensPerSecond = milliseconds > 0 ? Double(ranks) * 1000 / milliseconds : 0
    }

    /// Measures on all ranks together.
    /// - Throws: `AgreedError` where memory cannot be reserved or oneDNN fails.
    static func measure(
        _ compute: Compute, _ shape: DecoderConfiguration, _ precision: Precision, on communicator: any Communicator
    ) throws -> RunCeiling {
        let own = try communicator.agreeing {
            let products = try ProductSpeed(compute, precision, shapes: [(512, 768, 768)])
            // The first call fills caches.
            _ = try products.gigaflops(repetitions: 1)
            return try products.gigaflops(repetitions: 3)
        }
        let slowest = try communicator.allReduce(own, .minimum)
        return RunCeiling(shape, precision, gigaflops: slowest, ranks: communicator.worldSize)
    }

    /// Which part of it a speed is: 1 for all. Nil where nothing was measured.
    package func share(of speed: Double) -> Double? { tokensPerSecond > 0 ? speed / tokensPerSecond : nil }
}

extension StepPart {
    /// Whether it is bounded by multiplications: the linear layers and attention.
    fileprivate var isProduct: Bool {
        switch work.first?.phase {
        case .product, .attentionForward, .attentionBackward: true
        default: false
        }
    }
}
