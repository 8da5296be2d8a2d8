// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct DropoutTests {
    /// What makes a key, one by one other than in `standard`.
    struct Key: CustomTestStringConvertible, Equatable {
        var seed: UInt64 = 1
        var step = 2
        var microBatch = 3
        var place = 4

        var testDescription: String { "seed \(seed) step \(step) micro-batch \(microBatch) place \(place)" }

        func dropout(_ probability: Double) -> Dropout {
            Dropout(probability: probability, seed: seed, step: step, microBatch: microBatch, place: place)
        }
    }

    static let standard = Key()
    static let others = [
        Key(seed: 2), Key(seed: 1 | 1 << 63), Key(step: 3), Key(step: 2 | 1 << 40), Key(microBatch: 2), Key(place: 5),
        // The same numbers in each other's place.
        Key(step: 3, microBatch: 2), Key(microBatch: 4, place: 3), Key(seed: 2, step: 1),
    ]

    /// What elements of [N, C] are multiplied by.
    private func factors(_ key: Key, _ probability: Double, rows N: Int, columns C: Int) throws -> [Float] {
        let x = try Buffer<Float>(count: N * C)
        x.set([Float](repeating: 1, count: N * C))
        key.dropout(probability).apply(try Compute(threadCount: 1).pool, x.all, columns: C)
        return x.array()
    }

    /// One element after the other, in whole numbers.
    @Test(arguments: [1, 15, 16, 17, 40, 100], [0.1, 0.5, 0.9])
    func agreesWithThePlainLoop(columns C: Int, probability: Double) throws {
        let N = 37
        let key = Key(seed: .max, step: 1 << 33, microBatch: 7, place: 9)
        let expected = (0..<N * C).map { plainFactor(key, probability, row: $0 / C, column: $0 % C) }
        expectSame(try factors(key, probability, rows: N, columns: C), expected, "factors")
    }

    private func plainFactor(_ key: Key, _ probability: Double, row: Int, column: Int) -> Float {
        func mixed(_ bits: UInt64) -> UInt64 {
            var z = bits &+ 0x9e37_79b9_7f4a_7c15
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        let parts = [key.step, key.microBatch, key.place, row].map { UInt64($0) }
        // "dropout!" in ASCII, so that no other random number of a run begins alike.
        let start = mixed(key.seed ^ "dropout!".utf8.reduce(0) { $0 << 8 | UInt64($1) })
        let bits = parts.reduce(start) { mixed($0 ^ $1) }
        var x = (UInt32(truncatingIfNeeded: bits) &+ UInt32(column)) ^ UInt32(bits >> 32)
        x = (x ^ x >> 16) &* 0x21f0_aaad
        x = (x ^ x >> 15) &* 0xd35a_2d97
        x ^= x >> 15
        // The upper 23 bits, as a part of one.
        return Double(x >> 9) / 0x1p23 < probability ? 0 : Float(1 / (1 - probability))
    }

    /// What stays is divided by the probability to stay; rows past the slice are not touched.
    @Test(arguments: [1, 7, 16, 33, 100], Precision.allCases)
    func whatStaysIsScaled(columns: Int, precision: Precision) throws {
        switch precision {
        case .fp32: try checkScale(columns, Float.self)
        case .bf16: try checkScale(columns, BFloat16.self)
        }
    }

    private func checkScale<E: ActivationElement>(_ C: Int, _: E.Type) throws {
        let (N, probability) = (43, 0.3)
        var random = TestRandom(UInt64(C))
        let x = try Operand(random.normal((N + 1) * C), E.self)
        let factors = try factors(Self.standard, probability, rows: N, columns: C)
        let expected = x.values.indices.map { i in
            i < N * C ? (factors[i] == 0 ? 0 : x.values[i] / (1 - probability)) : x.values[i]
        }
        let results = try onEachThreadCount("\(C) columns") { compute in
            let y = try Buffer<E>(count: (N + 1) * C)
            y.set(x.buffer.array())
            Self.standard.dropout(probability).apply(compute.pool, y[0..<N * C], columns: C)
            return ["dropped": y.floats]
        }
        expectClose(
            results["dropped"], expected, relative: 1e-6 + storageError(E.precision), scaled: 0, "\(E.precision)")
        let dropped = results["dropped"].map { zip($0, factors).allSatisfy { ($0 == 0) == ($1 == 0) } }
        #expect(dropped == true, "the same elements in both precisions")
    }

    @Test(arguments: Precision.allCases) func probabilityZeroKeepsAll(precision: Precision) throws {
        func check<E: ActivationElement>(_: E.Type) throws {
            var random = TestRandom(8)
            let x = try Operand(random.normal(50 * 23), E.self)
            let before = x.buffer.floats.map(\.bitPattern)
            Self.standard.dropout(0).apply(try Compute(threadCount: 1).pool, x.all, columns: 23)
            expectSame(x.buffer.floats.map(\.bitPattern), before, "bits")
        }
        switch precision {
        case .fp32: try check(Float.self)
        case .bf16: try check(BFloat16.self)
        }
    }

    /// Expects that of so many elements about this share is dropped: off by no more than five standard deviations of a
    /// binomial distribution, which one of two million numbers is.
    private func expectShare(
        _ dropped: Int, of count: Int, _ probability: Double, _ comment: @autoclosure () -> String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let deviation = (Double(count) * probability * (1 - probability)).squareRoot()
        let error = (Double(dropped) - Double(count) * probability) / deviation
        #expect(error.magnitude < 5, "\(error) deviations, \(comment())", sourceLocation: sourceLocation)
    }

    /// Of the whole matrix, of every row and of every column.
    @Test(arguments: [0.01, 0.1, 0.5, 0.9, 0.999]) func theShareIsTheProbability(probability: Double) throws {
        let (N, C) = (1024, 1000)
        let isDropped = try factors(Self.standard, probability, rows: N, columns: C).map { $0 == 0 }
        expectShare(isDropped.count { $0 }, of: N * C, probability, "all")
        guard (0.1...0.9).contains(probability) else { return }
        for n in 0..<N { expectShare(isDropped[n * C..<(n + 1) * C].count { $0 }, of: C, probability, "row \(n)") }
        for c in 0..<C {
            expectShare((0..<N).count { isDropped[$0 * C + c] }, of: N, probability, "column \(c)")
        }
    }

    /// Of two matrices with another key, both elements of a place are dropped as often as chance has it.
    @Test(arguments: others) func anotherKeyDropsOtherElements(other: Key) throws {
        let probability = 0.3
        let masks = try [Self.standard, other].map { try factors($0, probability, rows: 256, columns: 250) }
        expectIndependent(masks[0], masks[1], probability, "\(other)")
    }

    /// So of an element and another one some rows and columns on: next to it, in the next vector, below it.
    @Test(arguments: [(0, 1), (0, 2), (0, 16), (0, 64), (1, 0), (1, 1), (2, 0), (16, 0), (128, 0)])
    func neighboursAreIndependent(rows: Int, columns: Int) throws {
        let (N, C, probability) = (256, 250, 0.3)
        let mask = try factors(Self.standard, probability, rows: N, columns: C)
        let places = (0..<N - rows).flatMap { n in (0..<C - columns).map { n * C + $0 } }
        expectIndependent(
            places.map { mask[$0] }, places.map { mask[$0 + rows * C + columns] }, probability,
            "\(rows) rows and \(columns) columns on")
    }

    private func expectIndependent(
        _ one: [Float], _ other: [Float], _ probability: Double, _ comment: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        expectShare(other.count { $0 == 0 }, of: other.count, probability, comment, sourceLocation: sourceLocation)
        expectShare(
            zip(one, other).count { $0 == 0 && $1 == 0 }, of: one.count, probability * probability,
            "both, " + comment, sourceLocation: sourceLocation)
    }
}
