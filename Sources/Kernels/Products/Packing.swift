import CInstructions

// Bringing rows of numbers into words: one fp32 number, or two bf16 numbers that follow each other, the earlier one in
// the low half.

/// Sixteen words.
typealias Words = SIMD16<UInt32>

@_transparent
func loadWords(_ source: UnsafePointer<UInt32>) -> Words { UnsafeRawPointer(source).loadUnaligned(as: Words.self) }

@_transparent
func storeWords(_ words: Words, to target: UnsafeMutablePointer<UInt32>) {
    UnsafeMutableRawPointer(target).storeBytes(of: words, as: Words.self)
}

/// Packing rows into words.
enum Packing {
    /// The words that `count` elements fill, the last one perhaps in part.
    @_transparent
    static func wordCount<E: ActivationElement>(_ count: Int, _: E.Type) -> Int {
        E.precision == .bf16 ? (count + 1) / 2 : count
    }

    /// `target`[row, word] = the words of `source`'s row, without gaps; what a last word lacks is zero, and so are rows
    /// from `rows` to `padded`.
    @inline(__always)
    static func words<E: ActivationElement>(
        _ source: UnsafePointer<E>, rows: Int, stride: Int, columns: Int, padded: Int,
        to target: UnsafeMutablePointer<UInt32>
    ) {
        let width = MemoryLayout<E>.stride
        let count = wordCount(columns, E.self)
        for row in 0..<rows {
            let from = UnsafeRawPointer(source + row * stride)
            let to = target + row * count
            let whole = columns * width / 64 * 16
            for word in Swift.stride(from: 0, to: whole, by: 16) {
                storeWords(from.loadUnaligned(fromByteOffset: 4 * word, as: Words.self), to: to + word)
            }
            for word in whole..<columns * width / 4 {
                to[word] = from.loadUnaligned(fromByteOffset: 4 * word, as: UInt32.self)
            }
            if columns * width % 4 == 2 {
                to[count - 1] = UInt32(from.loadUnaligned(fromByteOffset: 4 * (count - 1), as: UInt16.self))
            }
        }
        for word in rows * count..<max(rows, padded) * count { target[word] = 0 }
    }

    /// `target`[word, row] = word `word` of `source`'s row `row`. Columns from `rows` to `padded` and words from the
    /// rows' end to `words` become zero; both are multiples of 16.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func transposedWords<E: ActivationElement>(
        _ source: UnsafePointer<E>, rows: Int, stride: Int, columns: Int, padded: Int, words: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        let width = MemoryLayout<E>.stride
        let step = stride * width
        for row in Swift.stride(from: 0, to: padded, by: 16) {
            for word in Swift.stride(from: 0, to: words, by: 16) {
                let from = UnsafeRawPointer(source + row * stride) + 4 * word
                let to = target + word * targetStride + row
                if row + 16 <= rows, (word + 16) * 4 <= columns * width {
                    // The sixteen rows that follow, of which the CPU foresees few.
                    for line in 16..<32 { instructions_prefetch(from + line * step) }
                    instructions_transpose(from, step, to, 4 * targetStride)
                } else {
                    for w in 0..<16 {
                        for r in 0..<16 {
                            let left = row + r < rows ? columns * width - 4 * (word + w) : 0
                            let at = from + r * step + 4 * w
                            to[w * targetStride + r] =
                                left >= 4
                                ? at.loadUnaligned(as: UInt32.self)
                                : left == 2 ? UInt32(at.loadUnaligned(as: UInt16.self)) : 0
                        }
                    }
                }
            }
        }
    }

    /// The same from fp32 rows without gaps, rounded to bf16.
    @inline(never)
    static func transposedRoundedWords(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, padded: Int, words: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        // Sixteen rows of words, in the L1 cache.
        withUnsafeTemporaryAllocation(of: BFloat16.self, capacity: 512) { rounded in
            guard let gathered = rounded.baseAddress else { return }
            for row in stride(from: 0, to: padded, by: 16) {
                for word in stride(from: 0, to: words, by: 16) {
                    for line in 0..<16 {
                        let from = source + (row + line) * columns + 2 * word
                        let left = row + line < rows ? max(0, columns - 2 * word) : 0
                        let to = gathered + 32 * line
                        BFloat16.store16(Float.load(from, count: left), to: to)
                        BFloat16.store16(Float.load(from + 16, count: max(0, left - 16)), to: to + 16)
                    }
                    instructions_transpose(gathered, 64, target + word * targetStride + row, 4 * targetStride)
                }
            }
        }
    }

    /// `target`[word, column] = the elements of the column in the rows that make the word; rows from `rows` to `padded`,
    /// whole words of them, and columns up to a multiple of 16 are zero.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func rows<E: ActivationElement>(
        _ source: UnsafePointer<E>, rows: Int, stride: Int, columns: Int, padded: Int,
        to target: UnsafeMutablePointer<UInt32>, targetStride: Int
    ) {
        for word in 0..<wordCount(padded, E.self) {
            let row = E.precision == .bf16 ? 2 * word : word
            let first = source + row * stride
            let to = target + word * targetStride
            for column in Swift.stride(from: 0, to: columns, by: 16) {
                let left = columns - column
                var words = Words()
                if row < rows { words = bits(first + column, count: left) }
                if E.precision == .bf16, row + 1 < rows {
                    words |= bits(first + stride + column, count: left) &<< 16
                }
                storeWords(words, to: to + column)
            }
        }
    }

    /// Writes two rows of fp32 numbers as `rows` would pack them: one row of words in bf16, two in fp32.
    @_transparent
    static func storeRows<E: ActivationElement>(
        _ first: SIMD16<Float>, _ second: SIMD16<Float>, _: E.Type, to target: UnsafeMutablePointer<UInt32>,
        stride: Int
    ) {
        if E.precision == .bf16 {
            storeWords(roundedPairs(first, second), to: target)
        } else {
            storeWords(unsafeBitCast(first, to: Words.self), to: target)
            storeWords(unsafeBitCast(second, to: Words.self), to: target + stride)
        }
    }

    /// `target`[column, row] = `source`[row, column], without gaps: rows of the target are `rows` elements long.
    ///
    /// Sixteen rows of words are gathered in the L1 cache before they are turned: rows of a wide matrix lie a power of two
    /// apart, and would push each other out of the cache between their first column and their last. `gathered` has room
    /// for `gatheredBytes`.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func transpose<E: ActivationElement>(
        _ source: UnsafePointer<E>, rows: Int, stride: Int, columns: Int, to target: UnsafeMutablePointer<E>,
        gathering gathered: UnsafeMutableRawPointer
    ) {
        let width = MemoryLayout<E>.stride
        let step = stride * width
        // Rows of elements that make sixteen rows of words.
        let height = 64 / width
        let whole = (rows: rows / height * height, columns: columns / 16 * 16)
        for row in Swift.stride(from: 0, to: whole.rows, by: height) {
            for first in Swift.stride(from: 0, to: whole.columns, by: turnedColumns) {
                let count = min(turnedColumns, whole.columns - first)
                var from = UnsafeRawPointer(source + row * stride + first)
                for line in 0..<16 {
                    let to = gathered + line * 4 * turnedColumns
                    for column in Swift.stride(from: 0, to: count, by: 16) {
                        let words =
                            E.precision == .fp32
                            ? from.loadUnaligned(fromByteOffset: 4 * column, as: Words.self)
                            : pairedRows(from, 2 * column, step)
                        to.storeBytes(of: words, toByteOffset: 4 * column, as: Words.self)
                    }
                    from += height / 16 * step
                }
                for column in Swift.stride(from: 0, to: count, by: 16) {
                    instructions_transpose(
                        gathered + 4 * column, 4 * turnedColumns, target + (first + column) * rows + row, rows * width)
                }
            }
        }
        for column in 0..<columns {
            let start = column < whole.columns ? whole.rows : 0
            for row in start..<rows { target[column * rows + row] = source[row * stride + column] }
        }
    }

    /// Columns that `transpose` gathers at a time.
    private static var turnedColumns: Int { 128 }
    /// Bytes that `transpose` gathers in.
    static var gatheredBytes: Int { 16 * 4 * turnedColumns }

    /// Up to sixteen numbers' own bits, in the low part of a word; those past `count` are zero.
    @_transparent
    private static func bits<E: ActivationElement>(_ source: UnsafePointer<E>, count: Int) -> Words {
        let from = UnsafeRawPointer(source)
        if count >= 16 {
            return E.precision == .bf16
                ? widened(from.loadUnaligned(as: SIMD16<UInt16>.self)) : from.loadUnaligned(as: Words.self)
        }
        let words = unsafeBitCast(E.load(source, count: count), to: Words.self)
        return E.precision == .bf16 ? words &>> 16 : words
    }
}

/// Sixteen bit patterns in the low halves of words. Lane by lane becomes one vpmovzxwd; `init(truncatingIfNeeded:)` may
/// become a call that splits the vector.
@_transparent
func widened(_ halves: SIMD16<UInt16>) -> Words {
    var words = Words()
    for lane in 0..<16 { words[lane] = UInt32(halves[lane]) }
    return words
}

/// Sixteen bf16 numbers each of two rows, as words.
@_transparent
func pairedRows(_ source: UnsafeRawPointer, _ offset: Int, _ stride: Int) -> Words {
    widened(source.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt16>.self))
        | widened(source.loadUnaligned(fromByteOffset: offset + stride, as: SIMD16<UInt16>.self)) &<< 16
}

/// Sixteen fp32 numbers each of two rows, rounded to bf16, as words.
@_transparent
func roundedRows(_ source: UnsafeRawPointer, _ offset: Int, _ stride: Int) -> Words {
    let low = source.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self)
    let high = source.loadUnaligned(fromByteOffset: offset + stride, as: SIMD16<Float>.self)
    return roundedPairs(low, high)
}

/// Words of two rows' numbers, rounded to bf16.
@_transparent
func roundedPairs(_ low: SIMD16<Float>, _ high: SIMD16<Float>) -> Words {
    widened(instructions_round_bf16(low)) | widened(instructions_round_bf16(high)) &<< 16
}
