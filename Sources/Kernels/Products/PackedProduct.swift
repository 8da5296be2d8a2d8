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
        _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ K: Int, _ accumulates: Bool
    ) {
        var left = Sums(c, cStride, accumulates)
        var right = Sums(c + 16, cStride, accumulates)
        var column = a
        var row = b
        for _ in 0..<K {
            let b0 = loadWords(row)
            let b1 = loadWords(row + 16)
            // Each word of a goes to all lanes and meets both vectors of b.
            for i in 0..<8 {
                left.rows[unchecked: i] = dot(type, left.rows[unchecked: i], column[i &* aRow], b0)
                right.rows[unchecked: i] = dot(type, right.rows[unchecked: i], column[i &* aRow], b1)
            }
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
        _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ K: Int, _ accumulates: Bool
    ) {
        var sums = Sums(c, cStride, accumulates)
        var column = a
        var row = b
        for _ in 0..<K {
            let b0 = loadWords(row)
            for i in 0..<8 { sums.rows[unchecked: i] = dot(type, sums.rows[unchecked: i], column[i &* aRow], b0) }
            column += aWord
            row += bStride
        }
        sums.store(c, cStride)
    }

    /// Eight rows of sixteen sums, each a register: every index is a constant once the loops are unrolled.
    private struct Sums {
        var rows = InlineArray<8, SIMD16<Float>>(repeating: SIMD16())

        @_transparent
        init(_ c: UnsafePointer<Float>, _ stride: Int, _ accumulates: Bool) {
            guard accumulates else { return }
            for i in 0..<8 { rows[unchecked: i] = Float.load16(c + i &* stride) }
        }

        @_transparent
        func store(_ c: UnsafeMutablePointer<Float>, _ stride: Int) {
            for i in 0..<8 { Float.store16(rows[unchecked: i], to: c + i &* stride) }
        }
    }

    /// sum + a · b, a being one word for all lanes: fp32 numbers, or two bf16 numbers in each lane.
    @_transparent
    static func dot<E: ActivationElement>(
        _: E.Type, _ sum: SIMD16<Float>, _ a: UInt32, _ b: Words
    ) -> SIMD16<Float> {
        E.precision == .bf16
            ? instructions_dot_bf16(sum, Words(repeating: a), b)
            : sum.addingProduct(splat(Float(bitPattern: a)), unsafeBitCast(b, to: SIMD16<Float>.self))
    }
}
