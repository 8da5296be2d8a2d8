// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions

// M, N, K: c[M, N] = a[M, K] · b[K, N], K counted in words (Packing.swift).

/// Products of small matrices that are packed in words already, summed in fp32: what attention does with a tile, where a
/// general matrix product would spend its time on packing and on calls.
///
/// The result is computed in blocks of 8 × 32 elements, which stay in 16 registers while K is walked.
enum PackedProduct {
    /// The rows of a block.
    static var rowBlock: Int { 8 }

    /// c[8, N] = a · b, or c += a · b.
    ///
    /// - Parameters:
    ///   - a: word (row, k) lies at `row * aRow + k * aWord`.
    ///   - b: [K, N] words, rows `bStride` apart.
    ///   - c: [8, N] elements, rows `cStride` apart.
    ///   - columns: N, a multiple of 16.
    ///   - words: K.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func run<E: ActivationElement>(
        _ type: E.Type, _ a: UnsafePointer<UInt32>, aRow: Int, aWord: Int, _ b: UnsafePointer<UInt32>, bStride: Int,
        _ c: UnsafeMutablePointer<Float>, cStride: Int, columns N: Int, words K: Int, accumulates: Bool
    ) {
        let wide = N / 32 * 32
        for n in stride(from: 0, to: wide, by: 32) {
            wideBlock(type, a, aRow, aWord, b + n, bStride, c + n, cStride, K, accumulates)
        }
        if wide < N { narrowBlock(type, a, aRow, aWord, b + wide, bStride, c + wide, cStride, K, accumulates) }
    }

    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func wideBlock<E: ActivationElement>(
        _ type: E.Type, _ a: UnsafePointer<UInt32>, _ aRow: Int, _ aWord: Int, _ b: UnsafePointer<UInt32>,
        _ bStride: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ K: Int, _ accumulates: Bool
    ) {
        var left = Sums(c, cStride, accumulates)
        var right = Sums(c + 16, cStride, accumulates)
        var column = a
        var row = b
        for _ in 0..<K {
            let b0 = loadWords(row)
            let b1 = loadWords(row + 16)
            // Each word of a goes to all lanes and meets both vectors of b.
            left.s0 = dot(type, left.s0, column[0], b0)
            right.s0 = dot(type, right.s0, column[0], b1)
            left.s1 = dot(type, left.s1, column[aRow], b0)
            right.s1 = dot(type, right.s1, column[aRow], b1)
            left.s2 = dot(type, left.s2, column[2 * aRow], b0)
            right.s2 = dot(type, right.s2, column[2 * aRow], b1)
            left.s3 = dot(type, left.s3, column[3 * aRow], b0)
            right.s3 = dot(type, right.s3, column[3 * aRow], b1)
            left.s4 = dot(type, left.s4, column[4 * aRow], b0)
            right.s4 = dot(type, right.s4, column[4 * aRow], b1)
            left.s5 = dot(type, left.s5, column[5 * aRow], b0)
            right.s5 = dot(type, right.s5, column[5 * aRow], b1)
            left.s6 = dot(type, left.s6, column[6 * aRow], b0)
            right.s6 = dot(type, right.s6, column[6 * aRow], b1)
            left.s7 = dot(type, left.s7, column[7 * aRow], b0)
            right.s7 = dot(type, right.s7, column[7 * aRow], b1)
            column += aWord
            row += bStride
        }
        left.store(c, cStride)
        right.store(c + 16, cStride)
    }

    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private static func narrowBlock<E: ActivationElement>(
        _ type: E.Type, _ a: UnsafePointer<UInt32>, _ aRow: Int, _ aWord: Int, _ b: UnsafePointer<UInt32>,
        _ bStride: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ K: Int, _ accumulates: Bool
    ) {
        var sums = Sums(c, cStride, accumulates)
        var column = a
        var row = b
        for _ in 0..<K {
            let b0 = loadWords(row)
            sums.s0 = dot(type, sums.s0, column[0], b0)
            sums.s1 = dot(type, sums.s1, column[aRow], b0)
            sums.s2 = dot(type, sums.s2, column[2 * aRow], b0)
            sums.s3 = dot(type, sums.s3, column[3 * aRow], b0)
            sums.s4 = dot(type, sums.s4, column[4 * aRow], b0)
            sums.s5 = dot(type, sums.s5, column[5 * aRow], b0)
            sums.s6 = dot(type, sums.s6, column[6 * aRow], b0)
            sums.s7 = dot(type, sums.s7, column[7 * aRow], b0)
            column += aWord
            row += bStride
        }
        sums.store(c, cStride)
    }

    /// Eight rows of sixteen sums. Fields rather than an array, so that each is a register.
    private struct Sums {
        var s0 = SIMD16<Float>()
        var s1 = SIMD16<Float>()
        var s2 = SIMD16<Float>()
        var s3 = SIMD16<Float>()
        var s4 = SIMD16<Float>()
        var s5 = SIMD16<Float>()
        var s6 = SIMD16<Float>()
        var s7 = SIMD16<Float>()

        @_transparent
        init(_ c: UnsafePointer<Float>, _ stride: Int, _ accumulates: Bool) {
            guard accumulates else { return }
            s0 = Float.load16(c)
            s1 = Float.load16(c + stride)
            s2 = Float.load16(c + 2 * stride)
            s3 = Float.load16(c + 3 * stride)
            s4 = Float.load16(c + 4 * stride)
            s5 = Float.load16(c + 5 * stride)
            s6 = Float.load16(c + 6 * stride)
            s7 = Float.load16(c + 7 * stride)
        }

        @_transparent
        func store(_ c: UnsafeMutablePointer<Float>, _ stride: Int) {
            Float.store16(s0, to: c)
            Float.store16(s1, to: c + stride)
            Float.store16(s2, to: c + 2 * stride)
            Float.store16(s3, to: c + 3 * stride)
            Float.store16(s4, to: c + 4 * stride)
            Float.store16(s5, to: c + 5 * stride)
            Float.store16(s6, to: c + 6 * stride)
            Float.store16(s7, to: c + 7 * stride)
        }
    }

    @_transparent
    private static func dot<E: ActivationElement>(
        _: E.Type, _ sum: SIMD16<Float>, _ a: UInt32, _ b: Words
    ) -> SIMD16<Float> {
        E.precision == .bf16
            ? instructions_dot_bf16(sum, Words(repeating: a), b)
            : sum.addingProduct(splat(Float(bitPattern: a)), unsafeBitCast(b, to: SIMD16<Float>.self))
    }
}
