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

    /// Caps far above the logits, among them and far below.
    @Test(arguments: [(1, 5), (7, 16), (65, 130), (63, 97), (9, 1000)], [300.0, 30, 2])
    func softCap(shape: (rows: Int, vocabulary: Int), cap: Double) throws {
        try checkSoftCap(shape.rows, shape.vocabulary, cap, Float.self)
        try checkSoftCap(shape.rows, shape.vocabulary, cap, BFloat16.self)
    }

    private func checkSoftCap<E: ActivationElement>(_ R: Int, _ V: Int, _ cap: Double, _: E.Type) throws {
        var random = TestRandom(UInt64(R * 1000 + V))
        let before = try Operand(random.normal(R * V, scale: 10), E.self)
        let targets = try Buffer<Int32>(count: R)
        targets.set([Int32(V - 1)] + Array(([0] + random.tokens(R, below: V)).prefix(R - 1)))
        let expected = ReferenceKernels.crossEntropy(
            logits: before.values, targets: targets.array(), vocabulary: V, softCap: cap)
        let what = "[\(R), \(V)] \(E.precision), cap \(cap)"
        let results = try onEachThreadCount(what) { compute in
            let logits = try Buffer<E>(count: R * V)
            logits.set(before.buffer.array())
            let losses = try (0..<2).map { _ in try Buffer<Float>(count: R) }
            let scratch = try Buffer<Float>(count: compute.pool.threadCount * ((V + 15) / 16 * 16))
            for writes in [false, true] {
                CrossEntropy.loss(
                    compute.pool, logits: logits.all, targets: targets.all, losses: losses[writes ? 1 : 0].all,
                    vocabulary: V, scratch: scratch.all, writesGradient: writes, softCap: Float(cap))
                if !writes { expectSame(logits.floats, before.buffer.floats, "logits of an evaluation, \(what)") }
            }
            return ["gradient": logits.floats, "losses": losses[1].array(), "alone": losses[0].array()]
        }
        // Of the largest logit that there can be.
        let error = 1e-6 * min(cap, 50)
        expectClose(results["losses"], expected.losses, scaled: 0, absolute: 2 * error, "losses of \(what)")
        expectSame(results["alone"], results["losses"], "losses alone of \(what)")
        expectClose(
            results["gradient"], expected.gradient, relative: storageError(E.precision), scaled: 0, absolute: error,
            "gradient of \(what)")
    }

    /// As generation sees the logits: the same formula, and small ones keep their digits.
    @Test(arguments: [1, 16, 1023, 5000]) func capInPlace(count: Int) throws {
        var random = TestRandom(UInt64(count))
        let values = random.normal(count, scale: 20).enumerated().map { $1 * pow(10, -Double($0 % 7)) }
        let before = try Operand(values, Float.self)
        let results = try onEachThreadCount("\(count) logits") { compute in
            let logits = try Buffer<Float>(count: count)
            logits.set(before.buffer.array())
            CrossEntropy.cap(compute.pool, logits.all, at: 15)
            return ["logits": logits.array()]
        }
        let expected = before.values.map { 15 * tanh($0 / 15) }
        expectClose(results["logits"], expected, relative: 1e-6, scaled: 0, "\(count) logits")
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
        // Infinity is a number's limit under a soft cap; no number stays none.
        guard bad.isNaN else { return }
        CrossEntropy.loss(
            try Compute(threadCount: 1).pool, logits: logits.all, targets: targets.all, losses: losses.all,
            vocabulary: 97, scratch: scratch.all, writesGradient: false, softCap: 30)
        #expect(losses.array()[0].isNaN)
    }
}
