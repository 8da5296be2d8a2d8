import CInstructions

// Bringing rows of bf16 numbers into the words that `PackedProduct` reads.

/// Packing bf16 rows into words.
enum Packing {
    /// `target`[row, pair] = elements 2 · pair and 2 · pair + 1 of `source`'s row; an odd last element is paired with
    /// zero, and so are rows from `rows` to `padded`.
    static func pairs(
        _ source: UnsafePointer<BFloat16>, rows: Int, stride: Int, columns: Int, padded: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        for row in 0..<rows {
            let from = UnsafeRawPointer(source + row * stride)
            let to = target + row * targetStride
            for pair in 0..<columns / 2 { to[pair] = from.loadUnaligned(fromByteOffset: 4 * pair, as: UInt32.self) }
            if columns % 2 == 1 { to[columns / 2] = UInt32(source[row * stride + columns - 1].bitPattern) }
        }
        for row in rows..<max(rows, padded) {
            for pair in 0..<(columns + 1) / 2 { target[row * targetStride + pair] = 0 }
        }
    }

    /// `target`[pair, row] = the same words, transposed; columns from `rows` to `padded`, a multiple of 16, are zero,
    /// and so are pairs up to a multiple of 16.
    @inline(never)
    static func transposedPairs(
        _ source: UnsafePointer<BFloat16>, rows: Int, stride: Int, columns: Int, padded: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        for row in Swift.stride(from: 0, to: padded, by: 16) {
            for column in Swift.stride(from: 0, to: columns, by: 32) {
                let to = target + column / 2 * targetStride + row
                if row + 16 <= rows, column + 32 <= columns {
                    let square = WordSquare(source + row * stride + column, stride: stride)
                    square.transposed.store(to, stride: targetStride)
                } else {
                    for pair in 0..<min(16, (columns + 1 - column) / 2) {
                        for r in row..<row + 16 {
                            to[pair * targetStride + r - row] =
                                r < rows ? word(source + r * stride, column + 2 * pair, columns) : 0
                        }
                    }
                }
            }
        }
    }

    /// Two elements of a row; one past its end is zero.
    private static func word(_ row: UnsafePointer<BFloat16>, _ column: Int, _ columns: Int) -> UInt32 {
        let high = column + 1 < columns ? UInt32(row[column + 1].bitPattern) << 16 : 0
        return UInt32(row[column].bitPattern) | high
    }

    /// `target`[rowPair, column] = the elements of rows 2 · rowPair and 2 · rowPair + 1; rows from `rows` to `padded`
    /// and columns up to a multiple of 16 are zero.
    static func rowPairs(
        _ source: UnsafePointer<BFloat16>, rows: Int, stride: Int, columns: Int, padded: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        for pair in 0..<padded / 2 {
            let first = source + 2 * pair * stride
            let to = target + pair * targetStride
            for column in Swift.stride(from: 0, to: columns, by: 16) {
                let left = columns - column
                var words = Words()
                if 2 * pair < rows { words = halves(first + column, count: left) }
                if 2 * pair + 1 < rows { words |= halves(first + stride + column, count: left) &<< 16 }
                storeWords(words, to: to + column)
            }
        }
    }

    /// Up to sixteen bit patterns; those past `count` are zero.
    @_transparent
    private static func halves(_ source: UnsafePointer<BFloat16>, count: Int) -> Words {
        if count >= 16 { return widened(UnsafeRawPointer(source).loadUnaligned(as: SIMD16<UInt16>.self)) }
        var words = Words()
        for i in 0..<count { words[i] = UInt32(source[i].bitPattern) }
        return words
    }
}

/// Sixteen bit patterns in the low halves of words. Lane by lane, as in `BFloat16.load16`.
@_transparent
func widened(_ halves: SIMD16<UInt16>) -> Words {
    var words = Words()
    for lane in 0..<16 { words[lane] = UInt32(halves[lane]) }
    return words
}

/// Sixteen rows of sixteen words. Fields rather than an array, so that each is a register.
private struct WordSquare {
    var r0: Words
    var r1: Words
    var r2: Words
    var r3: Words
    var r4: Words
    var r5: Words
    var r6: Words
    var r7: Words
    var r8: Words
    var r9: Words
    var r10: Words
    var r11: Words
    var r12: Words
    var r13: Words
    var r14: Words
    var r15: Words

    @_transparent
    init(
        _ r0: Words, _ r1: Words, _ r2: Words, _ r3: Words, _ r4: Words, _ r5: Words, _ r6: Words, _ r7: Words,
        _ r8: Words, _ r9: Words, _ r10: Words, _ r11: Words, _ r12: Words, _ r13: Words, _ r14: Words, _ r15: Words
    ) {
        self.r0 = r0
        self.r1 = r1
        self.r2 = r2
        self.r3 = r3
        self.r4 = r4
        self.r5 = r5
        self.r6 = r6
        self.r7 = r7
        self.r8 = r8
        self.r9 = r9
        self.r10 = r10
        self.r11 = r11
        self.r12 = r12
        self.r13 = r13
        self.r14 = r14
        self.r15 = r15
    }

    /// Thirty-two numbers each of rows `stride` apart.
    @_transparent
    init(_ source: UnsafePointer<BFloat16>, stride: Int) {
        let from = UnsafeRawPointer(source)
        let step = 2 * stride
        r0 = from.loadUnaligned(fromByteOffset: 0 * step, as: Words.self)
        r1 = from.loadUnaligned(fromByteOffset: 1 * step, as: Words.self)
        r2 = from.loadUnaligned(fromByteOffset: 2 * step, as: Words.self)
        r3 = from.loadUnaligned(fromByteOffset: 3 * step, as: Words.self)
        r4 = from.loadUnaligned(fromByteOffset: 4 * step, as: Words.self)
        r5 = from.loadUnaligned(fromByteOffset: 5 * step, as: Words.self)
        r6 = from.loadUnaligned(fromByteOffset: 6 * step, as: Words.self)
        r7 = from.loadUnaligned(fromByteOffset: 7 * step, as: Words.self)
        r8 = from.loadUnaligned(fromByteOffset: 8 * step, as: Words.self)
        r9 = from.loadUnaligned(fromByteOffset: 9 * step, as: Words.self)
        r10 = from.loadUnaligned(fromByteOffset: 10 * step, as: Words.self)
        r11 = from.loadUnaligned(fromByteOffset: 11 * step, as: Words.self)
        r12 = from.loadUnaligned(fromByteOffset: 12 * step, as: Words.self)
        r13 = from.loadUnaligned(fromByteOffset: 13 * step, as: Words.self)
        r14 = from.loadUnaligned(fromByteOffset: 14 * step, as: Words.self)
        r15 = from.loadUnaligned(fromByteOffset: 15 * step, as: Words.self)
    }

    /// Rows become columns: four times, rows n and n + 8 are merged word by word into rows 2n and 2n + 1.
    @_transparent
    var transposed: WordSquare { merged.merged.merged.merged }

    @_transparent
    private var merged: WordSquare {
        WordSquare(
            low(r0, r8), high(r0, r8), low(r1, r9), high(r1, r9), low(r2, r10), high(r2, r10), low(r3, r11),
            high(r3, r11), low(r4, r12), high(r4, r12), low(r5, r13), high(r5, r13), low(r6, r14), high(r6, r14),
            low(r7, r15), high(r7, r15))
    }

    @_transparent
    private func low(_ a: Words, _ b: Words) -> Words {
        var words = Words()
        for lane in 0..<8 {
            words[2 * lane] = a[lane]
            words[2 * lane + 1] = b[lane]
        }
        return words
    }

    @_transparent
    private func high(_ a: Words, _ b: Words) -> Words {
        var words = Words()
        for lane in 0..<8 {
            words[2 * lane] = a[lane + 8]
            words[2 * lane + 1] = b[lane + 8]
        }
        return words
    }

    @_transparent
    func store(_ target: UnsafeMutablePointer<UInt32>, stride: Int) {
        storeWords(r0, to: target + 0 * stride)
        storeWords(r1, to: target + 1 * stride)
        storeWords(r2, to: target + 2 * stride)
        storeWords(r3, to: target + 3 * stride)
        storeWords(r4, to: target + 4 * stride)
        storeWords(r5, to: target + 5 * stride)
        storeWords(r6, to: target + 6 * stride)
        storeWords(r7, to: target + 7 * stride)
        storeWords(r8, to: target + 8 * stride)
        storeWords(r9, to: target + 9 * stride)
        storeWords(r10, to: target + 10 * stride)
        storeWords(r11, to: target + 11 * stride)
        storeWords(r12, to: target + 12 * stride)
        storeWords(r13, to: target + 13 * stride)
        storeWords(r14, to: target + 14 * stride)
        storeWords(r15, to: target + 15 * stride)
    }
}
