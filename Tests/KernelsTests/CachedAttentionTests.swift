// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct CachedAttentionTests {
    typealias Shape = AttentionTests.Shape

    static let shapes =
        [(1, 8), (3, 24), (2, 80), (2, 9)].map { Shape(context: 70, headSize: $1, heads: $0, sequences: 1) }
        + [(6, 2, 9), (4, 1, 24), (9, 3, 16), (4, 2, 80)].map {
            Shape(context: 70, headSize: $2, heads: $0, keyValueHeads: $1, sequences: 1)
        }
        + [(3, 24), (2, 9)].map { Shape(context: 70, headSize: $1, heads: $0, isInterleaved: true, sequences: 1) }
        + [Shape(context: 300, headSize: 10, heads: 6, keyValueHeads: 2, sequences: 1)]

    @Test(arguments: shapes, Precision.allCases)
    func agreesWithAttention(shape: Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try check(shape, Float.self)
        case .bf16: try check(shape, BFloat16.self)
        }
    }

    @Test(arguments: Precision.allCases)
    func anotherScale(precision: Precision) throws {
        let shape = Shape(context: 70, headSize: 10, heads: 4, keyValueHeads: 2, sequences: 1)
        switch precision {
        case .fp32: try check(shape, Float.self, scale: 0.7)
        case .bf16: try check(shape, BFloat16.self, scale: 0.7)
        }
    }

    private func check<E: ActivationElement>(_ shape: Shape, _: E.Type, scale: Double? = nil) throws {
        let (T, columns) = (shape.context, shape.columns)
        let factor = scale.map { Float($0) } ?? 1 / Float(shape.headSize).squareRoot()
        var random = TestRandom(UInt64(shape.headSize))
        let qkv = try Operand(random.normal(T * columns.width), E.self)
        let generation = try Generation<E>(positions: T, columns, scale: factor)
        for t in 0..<T { generation.read(qkv.buffer, t) }
        let actual = generation.output.floats

        let reference = ReferenceAttention(sequences: 1, context: T, columns: columns, scale: scale)
        let expected = reference.forward(qkv.values)
        // Nothing but the output is rounded.
        expectClose(actual, expected.output, relative: storageError(E.precision), "\(shape) \(E.precision)")

        let whole = try Buffer<E>(count: T * columns.outputWidth)
        let compute = try Compute(threadCount: 1)
        let attention = try Attention<E>(compute, sequences: 1, context: T, columns: columns, training: false)
        attention.forward(
            qkv: qkv.all, output: whole.all, logSumExp: try Buffer(count: T * columns.heads).all, scale: factor)
        // Attention rounds the probabilities too, and both the output; fp32 loses its share of the terms' magnitudes.
        let rounded = reference.roundedOutput(qkv.values, expected)
        let excesses = zip(actual, whole.floats).enumerated().map { i, pair in
            let limit = storageError(E.precision) * (rounded.magnitudes[i] + rounded.values[i].magnitude)
            return Double(pair.0 - pair.1).magnitude - limit - 3e-6 * rounded.magnitudes[i]
        }
        #expect(excesses.allSatisfy { $0 <= 0 }, "against attention, \(shape) \(E.precision)")
    }

    /// A prompt whose keys and values are stored in two pieces and what comes after it, against reading token by token.
    @Test(arguments: shapes, Precision.allCases)
    func storedPromptsAreAsGoodAsReadOnes(shape: Shape, precision: Precision) throws {
        switch precision {
        case .fp32: try checkPrompt(shape, Float.self)
        case .bf16: try checkPrompt(shape, BFloat16.self)
        }
    }

    private func checkPrompt<E: ActivationElement>(_ shape: Shape, _: E.Type) throws {
        let (T, D, columns) = (shape.context, shape.headSize, shape.columns)
        let (W, C) = (columns.width, columns.outputWidth)
        var random = TestRandom(UInt64(shape.headSize + 1))
        let qkv = try Operand(random.normal(T * W), E.self).buffer
        let read = try Generation<E>(positions: T, columns, scale: 0.3)
        for t in 0..<T { read.read(qkv, t) }

        let stored = try Generation<E>(positions: T, columns, scale: 0.3)
        for rows in [0..<13, 13..<T - 2] {
            CachedAttention.store(
                qkv: qkv[rows.lowerBound * W..<rows.upperBound * W], rows: rows.count, columns: columns,
                keys: stored.keys.all, values: stored.values.all, at: rows.lowerBound)
        }
        let all = qkv.floats
        var (keys, values) = ([Float](), [Float]())
        for t in 0..<T - 2 {
            for group in 0..<columns.keyValueHeads {
                let (key, value) = (t * W + columns.key(group), t * W + columns.value(group))
                keys += all[key..<key + D]
                values += all[value..<value + D]
            }
        }
        // Nothing is written past the prompt.
        let unread = [Float](repeating: 0, count: 2 * columns.keyValueHeads * D)
        expectSame(stored.keys.floats, keys + unread, "stored keys of \(shape)")
        expectSame(stored.values.floats, values + unread, "stored values of \(shape)")
        for t in T - 2..<T { stored.read(qkv, t) }
        expectSame(stored.keys.floats, read.keys.floats, "keys of \(shape)")
        expectSame(stored.values.floats, read.values.floats, "values of \(shape)")
        let last = (T - 2) * C..<T * C
        expectSame(Array(stored.output.floats[last]), Array(read.output.floats[last]), "output of \(shape)")
    }
}

/// Caches, and the outputs of the tokens that were read.
private struct Generation<E: ActivationElement> {
    let columns: HeadColumns
    let scale: Float
    let keys, values, output: Buffer<E>
    let scores: Buffer<Float>

    init(positions: Int, _ columns: HeadColumns, scale: Float) throws {
        self.columns = columns
        self.scale = scale
        keys = try Buffer(count: positions * columns.keyValueHeads * columns.headSize)
        values = try Buffer(count: positions * columns.keyValueHeads * columns.headSize)
        output = try Buffer(count: positions * columns.outputWidth)
        scores = try Buffer(count: CachedAttention.scoreCount(positions: positions, columns: columns))
        // What was there must not matter.
        scores.set([Float](repeating: .nan, count: scores.count))
    }

    /// The token at `position`.
    func read(_ qkv: Buffer<E>, _ position: Int) {
        let (W, C) = (columns.width, columns.outputWidth)
        CachedAttention.forward(
            qkv: qkv[position * W..<(position + 1) * W], keys: keys.all, values: values.all, position: position,
            columns: columns, scale: scale, scores: scores.all, output: output[position * C..<(position + 1) * C])
    }
}
