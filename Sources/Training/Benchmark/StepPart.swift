import Kernels
import Transformer

/// A part of a training step. The table `all` has everything that is known of one: what the report of `swiftlet bench`
/// and the slices of `train --trace` call it, and the least time that arithmetic and memory traffic allow it.
struct StepPart: Sendable {
    /// In the report.
    let name: String
    /// Its pieces of work, with the names of their slices.
    let work: [(phase: Phase, name: String)]
    /// The least milliseconds of each of these pieces in a step of a rank; 0 where nothing bounds them.
    let floor: @Sendable (StepFloors) -> Double

    /// In the order of the report.
    static let all = [
        StepPart(.queryKeyValue) { $0.layers * $0.product($0.width, $0.queryKeyValue) },
        StepPart(.attentionProjection) { $0.layers * $0.product($0.attention, $0.width) },
        StepPart(.expansion) { $0.layers * $0.product($0.width, $0.expansion) },
        StepPart(.contraction) { $0.layers * $0.product($0.inner, $0.width) },
        StepPart(.head) { $0.product($0.width, $0.vocabulary) },
        // Two products forward and five backward, over half of the square.
        StepPart("attention forward", .attentionForward, "attention") { $0.layers * 2 * $0.halfSquare },
        StepPart("attention backward", .attentionBackward, "attention") { $0.layers * 5 * $0.halfSquare },
        StepPart("cross-entropy", .crossEntropy) { $0.traffic(2 * $0.rows * $0.vocabulary * $0.bytes) },
        // Forward: stream and branch in, sum and output out; backward: two in, stream in and out, two out.
        StepPart("norms and residuals", .norm, "norm") {
            $0.traffic((2 * $0.layers + 1) * $0.rows * $0.width * (8 + 2 * $0.bytes + 12 + 3 * $0.bytes))
        },
        // Queries and keys in and out, forward and backward.
        StepPart("rotary, head norms", .headPlacement, "rotary") {
            $0.traffic(4 * $0.layers * $0.rows * ($0.queryKeyValue + $0.attention) / 2 * $0.bytes)
        },
        // Forward: hidden layer in, output out; backward: these again, the gradients in and out.
        StepPart("activation", .activation) {
            $0.traffic($0.layers * $0.rows * 3 * ($0.expansion + $0.inner) * $0.bytes)
        },
        // Of two branches a layer. Forward: in and out; backward: the stream's gradient in, and three times its operand.
        StepPart("dropout", .dropout) { $0.traffic(2 * $0.layers * $0.rows * $0.width * (4 + 5 * $0.bytes)) },
        StepPart("bias gradients", .biasGradient, "bias gradient") {
            $0.traffic($0.layers * $0.rows * $0.queryKeyValue * $0.bytes)
        },
        StepPart("embeddings", .embedding, "embedding") { $0.traffic(2 * $0.rows * $0.width * 12) },
        StepPart("optimizer", .optimizer) { $0.traffic($0.parameters * (28 + ($0.bytes == 2 ? 2 : 0))) },
        // Read where the owner has them, written here.
        StepPart("Newton-Schulz", .orthogonalization) { $0.newtonSchulz },
        StepPart("matrix exchange", .matrixExchange) { $0.traffic($0.receivedBytes * 2) },
        StepPart("gradient norm", .gradientNorm) { $0.traffic($0.parameters * 4) },
        StepPart("reduction", .reduction) { floors in
            floors.reductionPerMillisecond.map { floors.parameters * 4 / $0 } ?? 0
        },
        StepPart("waiting", .waiting) { _ in 0 },
        StepPart("reading tokens", .data, "data") { _ in 0 },
    ]

    /// The names of slices by phase.
    static let workNames = [Phase: String](uniqueKeysWithValues: all.flatMap { $0.work.map { ($0.phase, $0.name) } })

    private init(
        _ name: String, _ phase: Phase, _ slice: String? = nil, floor: @escaping @Sendable (StepFloors) -> Double
    ) {
        (self.name, work, self.floor) = (name, [(phase, slice ?? name)], floor)
    }

    /// The three products of a linear layer; dx and dw are the gradients of its input and weight.
    private init(_ product: MatrixProduct, floor: @escaping @Sendable (StepFloors) -> Double) {
        name = "matmul \(product.rawValue)"
        work = zip(Phase.Direction.allCases, ["", " dx", " dw"]).map { (.product(product, $0), product.rawValue + $1) }
        self.floor = floor
    }
}

/// The sizes of a step of one rank, and the speeds that bound it.
struct StepFloors {
    let (layers, width, inner, vocabulary, parameters): (Double, Double, Double, Double, Double)
    /// Widths of queries, keys and values together, of the heads' outputs, and of the MLP's first product.
    let (queryKeyValue, attention, expansion): (Double, Double, Double)
    /// Tokens of the rank.
    let rows: Double
    /// Of an activation.
    let bytes: Double
    let flopsPerMillisecond: Double
    /// Milliseconds of a product over one layer's scores, half of which lie below the diagonal.
    let halfSquare: Double
    let reductionPerMillisecond: Double?
    /// Milliseconds of Newton–Schulz, and bytes that come from other ranks for it.
    let (newtonSchulz, receivedBytes): (Double, Double)
    private let bytesPerMillisecond: Double

    /// - Parameters:
    ///   - tokens: tokens of one rank in a step.
    ///   - ceilings: the speeds that bound it; a missing one counts as almost none.
    ///   - muon: what its matrices need; nil without it.
    init(
        _ shape: DecoderConfiguration, tokens: Int, precision: Precision, ceilings: MachineCeilings,
        muon: MuonWork? = nil
    ) {
        (layers, width, inner) = (Double(shape.layerCount), Double(shape.embeddingSize), Double(shape.innerSize))
        (vocabulary, parameters) = (Double(shape.vocabularySize), Double(shape.parameterCount))
        (queryKeyValue, attention) = (Double(shape.queryKeyValueWidth), Double(shape.attentionWidth))
        expansion = Double(shape.expansionWidth)
        rows = Double(tokens)
        bytes = Double(precision.byteCount)
        flopsPerMillisecond = max(1, (ceilings.matmulTogether[precision.rawValue] ?? 1) * 1e6)
        let products = muon.flatMap { ceilings.matmulTogether[$0.precision.rawValue] } ?? 1
        newtonSchulz = (muon?.operations ?? 0) / max(1, products * 1e6)
        receivedBytes = muon?.receivedBytes ?? 0
        bytesPerMillisecond = max(1, ceilings.memoryGigabytes * 1e6)
        reductionPerMillisecond = ceilings.reductionGigabytes.map { max(1, $0 * 1e6) }
        halfSquare = rows * Double(shape.contextLength) * attention / flopsPerMillisecond
    }

    func product(_ input: Double, _ output: Double) -> Double { 2 * rows * input * output / flopsPerMillisecond }
    func traffic(_ bytes: Double) -> Double { bytes / bytesPerMillisecond }
}
