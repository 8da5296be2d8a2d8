// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct CrossEntropyTests {
    @Test(arguments: [(1, 5), (7, 5), (63, 97), (65, 1000), (9, 16), (3, 64)])
    func agrees(rows: Int, vocabulary: Int) throws {
        try check(rows, vocabulary, scale: 3, Float.self)
        try check(rows, vocabulary, scale: 3, BFloat16.self)
        // Almost all probability on one token.
        try check(rows, vocabulary, scale: 40, Float.self)
        try check(rows, vocabulary, scale: 40, BFloat16.self)
    }

    private func check<E: ActivationElement>(_ R: Int, _ V: Int, scale: Double, _: E.Type) throws {
        var random = TestRandom(UInt64(R * 1000 + V))
        let before = try Operand(random.normal(R * V, scale: scale), E.self)
        let targets = try Buffer<Int32>(count: R)
        // The first and the last token are among the targets.
        targets.set([Int32(V - 1)] + Array(([0] + random.tokens(R, below: V)).prefix(R - 1)))
        let expected = ReferenceKernels.crossEntropy(
            logits: before.values, targets: targets.array(), vocabulary: V)
        let what = "[\(R), \(V)] \(E.precision), logits around \(scale)"
        let results = try onEachThreadCount(what) { compute in
            let logits = try Buffer<E>(count: R * V)
            logits.set(before.buffer.array())
            let losses = try Buffer<Float>(count: R)
            let again = try Buffer<Float>(count: R)
            let scratch = try Buffer<Float>(count: compute.pool.threadCount * ((V + 15) / 16 * 16))
            CrossEntropy.loss(
                compute.pool, logits: logits.all, targets: targets.all, losses: again.all,
                vocabulary: V, scratch: scratch.all, writesGradient: false)
            let unchanged = logits.floats.map(\.bitPattern) == before.buffer.floats.map(\.bitPattern)
            #expect(unchanged, "evaluation changed the logits")
            CrossEntropy.loss(
                compute.pool, logits: logits.all, targets: targets.all, losses: losses.all,
                vocabulary: V, scratch: scratch.all, writesGradient: true)
            return ["gradient": logits.floats, "losses": losses.array(), "again": again.array()]
        }
        // A loss is a difference of logits, so that its error is in proportion to them.
        let largest = before.values.reduce(0) { max($0, $1.magnitude) }
        expectClose(results["losses"], expected.losses, scaled: 0, absolute: 5e-7 * largest, "losses of \(what)")
        expectSame(results["again"], results["losses"], "losses alone")
        // Between −1 and 1, and the difference of a probability and 1 for the target. Exponents grow with the logits,
        // and with them the error of the powers.
        let absolute = scale > 10 ? 1e-5 : 1e-6
        expectClose(
            results["gradient"], expected.gradient, relative: storageError(E.precision), scaled: 0, absolute: absolute,
            what)
    }

    /// Every power keeps its digits down to the smallest normal number, and none below zero or above one appears.
    @Test func smallProbabilitiesKeepTheirDigits() throws {
        let V = 300
        let logits = try Operand((0..<V).map { -0.3 * Double($0) }, Float.self)
        let targets = try Buffer<Int32>(count: 1)
        let scratch = try Buffer<Float>(count: 304)
        CrossEntropy.loss(
            try Compute(threadCount: 1).pool, logits: logits.all, targets: targets.all,
            losses: try Buffer<Float>(count: 1).all, vocabulary: V, scratch: scratch.all, writesGradient: true)
        let powers = logits.values.map { exp($0) }
        let total = powers.reduce(0, +)
        let results = logits.buffer.array()
        for v in 1..<V {
            let expected = powers[v] / total
            guard expected > 1.2e-38 else {
                #expect(results[v] >= 0 && results[v] < 1.3e-38, "probability of token \(v)")
                continue
            }
            // Of 2^x, of the total, of their quotient, and half a ULP of the exponent.
            let error = (Double(results[v]) / expected - 1).magnitude
            #expect(error < 4e-7 + 0x1p-24 * 1.25 * logits.values[v].magnitude, "probability of token \(v)")
        }
    }

    /// A model that has left the numbers must not look as if it learned: the loss shows it.
    @Test(arguments: [0, 5, 16, 70, 96], [Double.nan, .infinity])
    func nonFiniteLogitShows(place: Int, bad: Double) throws {
        var values = [Double](repeating: 0.5, count: 97)
        values[place] = bad
        let targets = try Buffer<Int32>(count: 1)
        targets.set([3])
        let losses = try Buffer<Float>(count: 1)
        let logits = try Operand(values, Float.self)
        let scratch = try Buffer<Float>(count: 112)
        CrossEntropy.loss(
            try Compute(threadCount: 1).pool, logits: logits.all, targets: targets.all, losses: losses.all,
            vocabulary: 97, scratch: scratch.all, writesGradient: false)
        #expect(!losses.array()[0].isFinite)
    }
}
