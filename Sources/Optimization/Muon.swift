import Basics
import Kernels

/// Muon (Jordan 2024), in PyTorch's form: the momentum of a matrix is orthogonalised before it becomes a step. For the
/// matrices of linear layers; all other tensors are AdamW's.
///
/// A matrix is always computed as a whole, on one rank or on all, so the bits are the same on any number of ranks.
package final class Muon: Optimizer {
    /// What stays the same over a run.
    package struct Hyperparameters: Equatable, Sendable {
        /// Decay of the momentum.
        package var momentum = 0.95
        /// Decoupled decay of the matrices.
        package var weightDecay = 0.01

        package init() {}
    }

    /// A matrix of a linear layer.
    package struct Matrix: Equatable, Sendable {
        /// Its place in the weights.
        package let range: Range<Int>
        /// As it is stored.
        package let shape: MatrixShape
        /// Of the layer, whichever way it is stored.
        package let inputs, outputs: Int

        /// - Precondition: `range` has as many elements as the shape.
        package init(range: Range<Int>, shape: MatrixShape, inputs: Int, outputs: Int) {
            precondition(range.count == shape.count, "a matrix of \(shape) in \(range.count) elements")
            (self.range, self.shape, self.inputs, self.outputs) = (range, shape, inputs, outputs)
        }

        /// What the rate is multiplied by: with it, steps of layers of any shape change outputs alike.
        var factor: Double { max(1, Double(outputs) / Double(inputs)).squareRoot() }
    }

    /// The run's constants.
    package let hyperparameters: Hyperparameters
    /// All tensors but the matrices.
    package let others: AdamW
    package let moments: [Moments]
    package var step: Int {
        get { others.step }
        set { others.step = newValue }
    }
    private let matrices: [Matrix]
    private let orthogonalizer: any Orthogonalizer
    private let exchange: (any MatrixExchange)?
    package var timeline: Timeline? {
        didSet { others.timeline = timeline }
    }

    /// Momentum of zero for the matrices, whose ranges no two share.
    /// - Parameters:
    ///   - others: AdamW for the other ranges of the weights.
    ///   - exchange: what shares the work among ranks; nil: this rank does all of it.
    ///   - orthogonalizer: makes what orthogonalises matrices of these shapes, after a look at the memory so far.
    /// - Throws: `KernelError` when memory cannot be reserved, and what `orthogonalizer` throws.
    package init(
        _ hyperparameters: Hyperparameters, matrices: [Matrix], others: AdamW, exchange: (any MatrixExchange)?,
        memory: Memory = Memory(), orthogonalizer: (_ shapes: [MatrixShape]) throws(KernelError) -> any Orthogonalizer
    ) throws(KernelError) {
        self.hyperparameters = hyperparameters
        self.matrices = matrices
        self.others = others
        self.exchange = exchange
        let momentum = try Moments("momenta", prefix: "momentum_buffer.", of: matrices.map(\.range), memory: memory)
        moments = [momentum] + others.moments
        self.orthogonalizer = try orthogonalizer(matrices.map(\.shape))
    }

    /// - Precondition: `rates` has Muon's.
    package func update(
        _ weights: Buffer<Float>, gradients: Buffer<Float>, copy: Buffer<BFloat16>?, rates: LearningRates,
        gradientScale: Double, pool: ThreadPool
    ) throws {
        guard let rate = rates.muon else { preconditionFailure("Muon without a rate") }
        others.update(
            weights, gradients: gradients, copy: copy, rates: rates, gradientScale: gradientScale, pool: pool)
        func apply(_ matrix: Matrix) {
            timeline.timed(.optimizer) {
                MuonUpdate.apply(
                    pool, weights: weights[matrix.range], direction: gradients[matrix.range],
                    copy: copy.map { $0[matrix.range] }, learningRate: rate, weightDecay: hyperparameters.weightDecay,
                    stepSize: rate * matrix.factor)
            }
        }
        // The gradient's place takes the update, then what it is orthogonalised to: no memory of its own.
        var place = 0
        for (index, matrix) in matrices.enumerated() {
            Activity.goOn()
            let direction = gradients[matrix.range]
            timeline.timed(.optimizer) {
                MuonUpdate.accumulate(
                    pool, gradients: direction, momentum: moments[0].arena[place..<place + matrix.range.count],
                    decay: hyperparameters.momentum, gradientScale: gradientScale)
            }
            place += matrix.range.count
            let isOwn = exchange?.isOwn(index) ?? true
            if isOwn {
                try timeline.timed(.orthogonalization) { try orthogonalizer.orthogonalize(direction, matrix.shape) }
            }
            // Results of other ranks come in while this one computes its own.
            if let exchange {
                try timeline.timed(.matrixExchange) { try exchange.start(index, gradients, matrix.range) }
            }
            if isOwn { apply(matrix) }
            while let other = try nextResult(waiting: false) { apply(matrices[other]) }
        }
        while let other = try nextResult(waiting: true) { apply(matrices[other]) }
    }

    private func nextResult(waiting: Bool) throws -> Int? {
        guard let exchange else { return nil }
        return try timeline.timed(.matrixExchange) { try exchange.next(waiting: waiting) }
    }
}

/// How ranks share the matrices of an update: each has an owner, which computes it for all. All ranks agree on it.
package protocol MatrixExchange: AnyObject {
    /// Whether this rank computes the matrix.
    func isOwn(_ index: Int) -> Bool
    /// Starts to give all ranks what the matrix's owner has in this range, and returns. All ranks call it for every matrix,
    /// in order: the owner once it has the result, which then stays as it is, others once they need what was there no more.
    func start(_ index: Int, _ arena: Buffer<Float>, _ range: Range<Int>) throws
    /// A matrix of another rank whose result has come, each once; nil: none has. `waiting` waits for one: nil then says that
    /// all have come, and that this rank's own may change again.
    func next(waiting: Bool) throws -> Int?
}
