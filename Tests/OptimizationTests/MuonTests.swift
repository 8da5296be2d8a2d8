import Kernels
import Optimization
import TestSupport
import Testing

/// Muon over an arena of two matrices and two other ranges, against the formula in Double.
@Suite struct MuonTests {
    // Stored [in, out] and [out, in]: the factor is the layer's in both. Another range lies between them and behind.
    private static let matrices = [
        Muon.Matrix(range: 16..<51, shape: MatrixShape(rows: 5, columns: 7), inputs: 5, outputs: 7),
        Muon.Matrix(range: 64..<3136, shape: MatrixShape(rows: 96, columns: 32), inputs: 32, outputs: 96),
        Muon.Matrix(range: 3136..<6208, shape: MatrixShape(rows: 96, columns: 32), inputs: 96, outputs: 32),
    ]
    private static let others: [(range: Range<Int>, decays: Bool)] = [(0..<16, true), (6208..<6240, false)]
    private static let count = 6240
    private static let scale = 0.25
    private static let rates = LearningRates(adamW: 0.01, muon: 0.03)
    private static let constants = {
        var constants = Muon.Hyperparameters()
        (constants.momentum, constants.weightDecay) = (0.8, 2)
        return constants
    }()

    /// A matrix on its way through the updates.
    private struct Reference {
        var weights: [Double]
        var momentum: [Double]

        mutating func update(_ gradients: ArraySlice<Float>, _ shape: MatrixShape, factor: Double) {
            let scaled = gradients.map { Double($0) * MuonTests.scale }
            momentum = zip(momentum, scaled).map { 0.8 * $0 + 0.2 * $1 }
            let update = zip(momentum, scaled).map { 0.8 * $0 + 0.2 * $1 }
            let direction = orthogonal(update, rows: shape.rows, columns: shape.columns)
            weights = zip(weights, direction).map { $0 * (1 - 0.03 * 2) - 0.03 * factor * $1 }
        }
    }

    private func makeMuon(
        _ compute: Compute, precision: Precision = .fp32, exchange: (any MatrixExchange)? = nil
    ) throws -> Muon {
        let others = try AdamW(AdamW.Hyperparameters(), ranges: Self.others)
        return try Muon(Self.constants, matrices: Self.matrices, others: others, exchange: exchange) {
            (shapes) throws(KernelError) in try makeNewtonSchulz(compute, shapes: shapes, precision: precision)
        }
    }

    @Test func everyConstantCounts() throws {
        let compute = try Compute(threadCount: 1)
        let muon = try makeMuon(compute)
        let lone = try AdamW(AdamW.Hyperparameters(), ranges: Self.others)
        var random = TestRandom(3)
        let initial = random.normal(Self.count).map { Float($0) }
        let weights = try Buffer<Float>(count: Self.count)
        let loneWeights = try Buffer<Float>(count: Self.count)
        weights.set(initial)
        loneWeights.set(initial)
        let copy = try Buffer<BFloat16>(count: Self.count)
        var references = Self.matrices.map { matrix in
            Reference(
                weights: initial[matrix.range].map(Double.init),
                momentum: [Double](repeating: 0, count: matrix.range.count))
        }
        // √(7 / 5), √(96 / 32), and 1 where a layer gives less than it takes.
        let factors = [1.4, 3, 1].map { (ratio: Double) in ratio.squareRoot() }
        for update in 1...3 {
            let values = random.normal(Self.count, scale: 4).map { Float($0) }
            let gradients = try Buffer<Float>(count: Self.count)
            gradients.set(values)
            let before = references.map(\.weights)
            try muon.update(
                weights, gradients: gradients, copy: copy, rates: Self.rates, gradientScale: Self.scale,
                pool: compute.pool)
            gradients.set(values)
            lone.update(
                loneWeights, gradients: gradients, copy: nil, rates: Self.rates, gradientScale: Self.scale,
                pool: compute.pool)
            #expect(muon.step == update)
            for (index, matrix) in Self.matrices.enumerated() {
                references[index].update(values[matrix.range], matrix.shape, factor: factors[index])
                let place = try #require(muon.moments[0].place(of: matrix.range))
                let momentum = muon.moments[0].arena.array(place)
                #expect(relativeError(momentum, references[index].momentum) < 3e-7)
                let change = zip(weights.array(matrix.range), before[index]).map { Double($0) - $1 }
                let expected = zip(references[index].weights, before[index]).map { $0 - $1 }
                #expect(relativeError(change, expected) < 3e-5, "update \(update), matrix \(index)")
            }
            for (range, _) in Self.others { #expect(weights.array(range) == loneWeights.array(range)) }
            // What no range covers stays, and all else is in the copy.
            #expect(weights.array(51..<64) == Array(initial[51..<64]))
            for range in Self.matrices.map(\.range) + Self.others.map(\.range) {
                let rounded = weights.array(range).map { BFloat16(rounding: $0) }
                #expect(copy.array(range) == rounded)
            }
        }
    }

    /// Momentum for the matrices, AdamW's two for the others, and no memory for any more.
    @Test func whatItRemembers() throws {
        let muon = try makeMuon(Compute(threadCount: 1))
        #expect(muon.moments.map(\.prefix) == ["momentum_buffer.", "exp_avg.", "exp_avg_sq."])
        #expect(muon.moments.map(\.arena.count) == [35 + 2 * 3072, 48, 48])
        let momentum = muon.moments[0]
        #expect(momentum.place(of: 16..<51) == 0..<35 && momentum.place(of: 3136..<6208) == 3107..<6179)
        #expect(momentum.place(of: 0..<16) == nil && momentum.place(of: 51..<64) == nil)
        let first = muon.moments[1]
        #expect(first.place(of: 6210..<6220) == 18..<28 && first.place(of: 64..<3136) == nil)
        muon.step = 7
        #expect(muon.others.step == 7 && muon.step == 7)
    }

    /// Ranks that share the matrices have the bits of one that computes all of them.
    @Test(arguments: Precision.allCases) func sharingChangesNoBit(precision: Precision) throws {
        let compute = try Compute(threadCount: 1)
        let exchanges = [StandInExchange(own: [0, 2]), StandInExchange(own: [1])]
        let all = [try makeMuon(compute, precision: precision)]
        let shared = try exchanges.map { try makeMuon(compute, precision: precision, exchange: $0) }
        var random = TestRandom(5)
        let initial = random.normal(Self.count).map { Float($0) }
        let values = random.normal(Self.count).map { Float($0) }
        // The first round leaves each one's results; in the second each takes the other's.
        var results: [[Float]] = []
        for muon in shared + shared + all {
            let (weights, gradients) = (try Buffer<Float>(count: Self.count), try Buffer<Float>(count: Self.count))
            weights.set(initial)
            gradients.set(values)
            muon.step = 0
            for moments in muon.moments { moments.arena.zero() }
            try muon.update(
                weights, gradients: gradients, copy: nil, rates: Self.rates, gradientScale: 1, pool: compute.pool)
            results.append(weights.array())
            StandInExchange.merge(exchanges)
        }
        #expect(results[2] == results[4] && results[3] == results[4])
        #expect(exchanges.allSatisfy { $0.asked == [0, 1, 2, 0, 1, 2] && $0.isKept })
    }
}

/// Stands for the other ranks: it keeps what this one owns, and gives it what others kept in an earlier round.
private final class StandInExchange: MatrixExchange {
    private let own: Set<Int>
    private var kept: [Int: [Float]] = [:]
    private(set) var asked: [Int] = []
    private var coming: [(index: Int, arena: Buffer<Float>, range: Range<Int>)] = []
    private var given: [(index: Int, arena: Buffer<Float>, range: Range<Int>)] = []
    /// Whether a result stayed as it was until all were taken.
    private(set) var isKept = true
    private var asks = 0

    init(own: Set<Int>) { self.own = own }

    func isOwn(_ index: Int) -> Bool { own.contains(index) }

    func start(_ index: Int, _ arena: Buffer<Float>, _ range: Range<Int>) {
        asked.append(index)
        if isOwn(index) {
            kept[index] = arena.array(range)
            given.append((index, arena, range))
        } else {
            coming.append((index, arena, range))
        }
    }

    /// Others are late: one comes at each third time of asking, the last ones only to who waits.
    func next(waiting: Bool) -> Int? {
        asks += 1
        guard waiting || asks % 3 == 0 else { return nil }
        guard let first = coming.first else {
            for (index, arena, range) in given { isKept = isKept && kept[index] == arena.array(range) }
            if waiting { given = [] }
            return nil
        }
        coming.removeFirst()
        if let values = kept[first.index] { first.arena.set(values, at: first.range.lowerBound) }
        return first.index
    }

    static func merge(_ all: [StandInExchange]) {
        for exchange in all { for other in all { exchange.kept.merge(other.kept) { own, _ in own } } }
    }
}

/// Newton–Schulz in plain loops: five times X ← aX + b(XXᵀ)X + c(XXᵀ)²X.
private func orthogonal(_ matrix: [Double], rows: Int, columns: Int) -> [Double] {
    func product(_ a: [Double], _ b: [Double], _ n: Int, _ k: Int, _ m: Int) -> [Double] {
        var c = [Double](repeating: 0, count: n * m)
        for i in 0..<n { for j in 0..<m { for l in 0..<k { c[i * m + j] += a[i * k + l] * b[l * m + j] } } }
        return c
    }
    func turned(_ a: [Double], _ n: Int, _ m: Int) -> [Double] { (0..<n * m).map { a[$0 % n * m + $0 / n] } }
    guard rows <= columns else {
        return turned(orthogonal(turned(matrix, rows, columns), rows: columns, columns: rows), columns, rows)
    }
    let norm = matrix.reduce(0) { $0 + $1 * $1 }.squareRoot()
    var x = matrix.map { $0 / norm }
    for _ in 0..<5 {
        let gram = product(x, turned(x, rows, columns), rows, columns, rows)
        let square = product(gram, gram, rows, rows, rows)
        let both = zip(gram, square).map { -4.7750 * $0 + 2.0315 * $1 }
        x = zip(x, product(both, x, rows, rows, columns)).map { 3.4445 * $0 + $1 }
    }
    return x
}
