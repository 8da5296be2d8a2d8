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
        for word in Swift.stride(from: 0, to: words, by: 16) {
            for row in Swift.stride(from: 0, to: padded, by: 16) {
                let from = UnsafeRawPointer(source + row * stride) + 4 * word
                let to = target + word * targetStride + row
                if row + 16 <= rows, (word + 16) * 4 <= columns * width {
                    WordSquare(words: from, stride: step).transposed.store(to, stride: 4 * targetStride)
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

    /// `target`[column, row] = `source`[row, column], without gaps: rows of the target are `rows` elements long.
    ///
    /// Sixteen rows of words are gathered in the L1 cache before they are turned: rows of a wide matrix lie a power of two
    /// apart, and would push each other out of the cache between their first column and their last.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func transpose<E: ActivationElement>(
        _ source: UnsafePointer<E>, rows: Int, stride: Int, columns: Int, to target: UnsafeMutablePointer<E>
    ) {
        let width = MemoryLayout<E>.stride
        let step = stride * width
        // Rows of elements that make sixteen rows of words.
        let height = 64 / width
        let whole = (rows: rows / height * height, columns: columns / 16 * 16)
        withUnsafeTemporaryAllocation(byteCount: 16 * 4 * turnedColumns, alignment: 64) { memory in
            guard let gathered = memory.baseAddress else { return }
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
                        WordSquare(words: gathered + 4 * column, stride: 4 * turnedColumns).transposed
                            .store(target + (first + column) * rows + row, stride: rows * width)
                    }
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

    /// Up to sixteen bit patterns; those past `count` are zero.
    @_transparent
    private static func halves(_ source: UnsafePointer<BFloat16>, count: Int) -> Words {
        if count >= 16 { return widened(UnsafeRawPointer(source).loadUnaligned(as: SIMD16<UInt16>.self)) }
        var words = Words()
        for i in 0..<max(count, 0) { words[i] = UInt32(source[i].bitPattern) }
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
