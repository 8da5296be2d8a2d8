import Collectives
import DataParallel
import Kernels
import Transformer

/// What Muon's matrices need of one rank in a step, as `StepFloors` counts it.
package struct MuonWork: Equatable, Sendable {
    /// Of the products.
    package var precision: Precision
    /// Floating-point operations of this rank's matrices, of symmetric products the half that must be computed.
    package var operations: Double
    /// Bytes of the results that come from other ranks.
    package var receivedBytes: Double

    /// Of this rank of a run; nil in one without Muon.
    init?(_ configuration: TrainingConfiguration, _ layout: ParameterLayout, on communicator: any Communicator) {
        guard configuration.optimizerKind == .muon else { return nil }
        let shapes = layout.matrices.map(\.shape)
        let sharing = MatrixSharing(shapes, on: communicator)
        self.init(shapes, precision: configuration.muonPrecision ?? .fp32) { sharing?.isOwn($0) ?? true }
    }

    /// - Parameter isOwn: whether this rank computes a matrix.
    package init(_ shapes: [MatrixShape], precision: Precision, isOwn: (Int) -> Bool) {
        self.precision = precision
        (operations, receivedBytes) = (0, 0)
        for (index, shape) in shapes.enumerated() {
            if isOwn(index) {
                operations += shape.leastOperations
            } else {
                receivedBytes += Double(4 * shape.count)
            }
        }
    }
}

extension MatrixShape {
    /// Of an iteration's three products XXᵀ and (XXᵀ)² are symmetric: M²N + M³ + 2M²N.
    fileprivate var leastOperations: Double {
        let (m, n) = (Double(min(rows, columns)), Double(max(rows, columns)))
        return Double(Quintic.iterations) * m * m * (3 * n + m)
    }
}
