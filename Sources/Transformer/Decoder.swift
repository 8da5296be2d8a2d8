import Basics
import Kernels

// B: sequences of a micro-batch, T: context, N = B · T rows, C: embedding size, V: vocabulary.

/// A decoder with hand-written passes, activations and matmul operands stored as `E`.
///
/// Read `Decoder+Forward`, `Decoder+Head`, `Decoder+Backward` in this order: together they are one training step of a
/// micro-batch.
final class Decoder<E: ActivationElement>: LanguageModel {
    let configuration: DecoderConfiguration
    let layout: ParameterLayout
    let microBatch: Int
    /// T: the model's context; in generation the tokens of a prompt, or 1.
    let context: Int
    let compute: Compute
    let weights: Buffer<Float>
    /// What matmuls read: the weights themselves in fp32, a rounded copy in bf16. Nil where products round the weights as
    /// they pack them.
    let operands: Buffer<E>?
    /// Whether it is a copy of this model's own.
    private let hasOwnCopy: Bool
    let inputs: Buffer<Int32>
    let targets: Buffer<Int32>
    let activations: Activations<E>
    let products: Products
    /// Attention over whole sequences, then over the pieces that a pass with gradients may cut them into.
    private let attentions: [(length: Int, attention: Attention<E>)]
    /// Whether the backward pass computes a block's activations again.
    let recomputes: Bool
    /// What is dropped in a pass with gradients.
    let dropout: DropoutRates
    /// The micro-batch of the pass with gradients that is under way.
    private(set) var microBatchKey: MicroBatchKey?
    var timeline: Timeline?
    var observer: TensorObserver?

    /// Reserves memory first, what does not depend on oneDNN, and then plans products.
    /// - Parameters:
    ///   - pieceLengths: the lengths that passes with gradients may cut the sequences into, beside the whole ones.
    ///   - hasHead: whether logits are computed; a prompt needs those of its last row alone.
    ///   - other: a model of the same shape whose weights this one reads.
    init(
        _ configuration: DecoderConfiguration, microBatch: Int, context: Int? = nil, compute: Compute, training: Bool,
        recomputes: Bool = false, dropout: DropoutRates = DropoutRates(), pieceLengths: [Int] = [],
        hasHead: Bool = true, sharing other: Decoder? = nil, memory: Memory
    ) throws(KernelError) {
        self.configuration = configuration
        self.microBatch = microBatch
        self.compute = compute
        self.recomputes = recomputes && training
        self.dropout = dropout
        let context = context ?? configuration.contextLength
        self.context = context
        layout = ParameterLayout(configuration)
        weights = if let other { other.weights } else { try memory.buffer(.weights, layout.count) }
        let shared = other?.operands ?? weights as? Buffer<E>
        let count = layout.count
        func copy() throws(KernelError) -> Buffer<E> { try memory.buffer(.weightCopy, count) }
        let copies = shared == nil && !self.recomputes
        let operands = copies ? try copy() : shared
        let rows = microBatch * context
        inputs = try memory.buffer(.activations, rows)
        targets = try memory.buffer(.activations, rows)
        activations = try Activations(
            configuration, rows: rows, threads: compute.pool.threadCount, training: training, recomputes: recomputes,
            hasHead: hasHead, dropsBranches: dropout.residual > 0, memory: memory)
        attentions = try ([context] + pieceLengths).map { length throws(KernelError) in
            precondition(context % length == 0, "\(context) tokens in pieces of \(length)")
            let attention = try Attention<E>(
                compute, sequences: rows / length, context: length, columns: configuration.headColumns,
                training: training, memory: memory)
            return (length: length, attention: attention)
        }
        try memory.requireRoom()
        products = try Products(
            Workspace(compute, memory: memory), configuration, rows: rows, precision: E.precision, training: training,
            hasHead: hasHead, savesMemory: self.recomputes)
        self.operands = if operands == nil, !products.packWeights { try copy() } else { operands }
        hasOwnCopy = shared == nil && self.operands != nil
    }

    var precision: Precision { E.precision }
    var operandCopy: Buffer<BFloat16>? { operands as? Buffer<BFloat16> }
    var pool: ThreadPool { compute.pool }
    var width: Int { configuration.embeddingSize }
    /// Tokens that see each other in the pass under way, whose positions start at 0.
    var length: Int { microBatchKey?.pieceLength ?? context }
    /// Attention over as many tokens.
    var attention: Attention<E> {
        let length = length
        for own in attentions where own.length == length { return own.attention }
        preconditionFailure("planned without pieces of \(length) tokens")
    }

    func refreshOperands() { if hasOwnCopy, let operands { Vector.round(pool, weights.all, into: operands.all) } }

    /// Runs a product whose right operand are weights.
    func run(
        _ product: Matmul, _ a: BufferSlice<E>, _ weights: Range<Int>, into c: BufferSlice<E>,
        bias: Range<Int>? = nil, reusingOperand: Bool = false
    ) {
        let bias = bias.map { self.weights[$0] }
        if let operands {
            product.run(a, operands[weights], into: c, bias: bias, reusingOperand: reusingOperand)
        } else {
            product.run(a, self.weights[weights], into: c, bias: bias, reusingOperand: reusingOperand)
        }
    }

    func lossAndGradients(
        into gradients: Buffer<Float>, key: MicroBatchKey, completed: (Range<Int>) throws -> Void
    ) throws -> Double {
        precondition(gradients.count == layout.count, "a gradient arena of another layout")
        precondition(products.contraction.weightGradient != nil, "planned without training")
        microBatchKey = key
        defer { microBatchKey = nil }
        try timed(.forward) { try forwardBlocks(attend: attend) }
        try timed(.head) { try headLosses(gradients) }
        try timed(.backward) { try backwardBlocks(gradients, completed: completed) }
        try compute.requireSuccess()
        return lossSum(0..<inputs.count)
    }

    func loss(sequences: Int) throws -> Double {
        precondition(sequences <= microBatch, "\(sequences) sequences in a micro-batch of \(microBatch)")
        try forwardBlocks(attend: attend)
        try headLosses()
        try compute.requireSuccess()
        return lossSum(0..<sequences * context)
    }

    func sequenceLoss(_ index: Int) -> Double { lossSum(index * context..<(index + 1) * context) }

    /// Attention within the micro-batch's sequences, or the pieces of them.
    func attend(_ layer: Int, _ block: Activations<E>.Block) {
        attention.forward(
            qkv: block.queryKeyValue.all, output: block.attention.all, logSumExp: block.logSumExp.all,
            scale: configuration.attentionScale(layer: layer),
            dropout: dropped(.attention, layer: layer))
    }

    /// Token losses added in row order, in Double.
    private func lossSum(_ rows: Range<Int>) -> Double {
        activations.losses.withSpan(rows) { losses in losses.indices.reduce(0) { $0 + Double(losses[$1]) } }
    }

    /// Runs a piece of a step, on the record if there is one.
    @inline(__always)
    func timed<R>(_ phase: Phase, layer: Int = -1, _ body: () throws -> R) rethrows -> R {
        Activity.goOn()
        return try timeline.timed(phase, index: layer, body)
    }

    /// Shows a tensor to the observer if there is one.
    @inline(__always)
    func observe<Element: ActivationElement>(
        _ layer: @autoclosure () -> String, _ tensor: String, _ values: BufferSlice<Element>
    ) throws {
        if let observer { try observer(layer(), tensor, TensorStatistics(values)) }
    }
}
