import CInstructions

/// Sixteen rows of sixteen words, in registers: fields rather than an array, so that each is one.
struct WordSquare {
    private var r0: Words
    private var r1: Words
    private var r2: Words
    private var r3: Words
    private var r4: Words
    private var r5: Words
    private var r6: Words
    private var r7: Words
    private var r8: Words
    private var r9: Words
    private var r10: Words
    private var r11: Words
    private var r12: Words
    private var r13: Words
    private var r14: Words
    private var r15: Words

    @_transparent
    private init(
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

    /// Sixteen words each of rows `stride` bytes apart.
    @_transparent
    init(words source: UnsafeRawPointer, stride: Int) {
        self.init(
            source.loadUnaligned(fromByteOffset: 0 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 1 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 2 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 3 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 4 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 5 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 6 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 7 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 8 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 9 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 10 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 11 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 12 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 13 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 14 * stride, as: Words.self),
            source.loadUnaligned(fromByteOffset: 15 * stride, as: Words.self))
    }

    /// Sixteen bf16 numbers each of 32 rows `stride` bytes apart, two rows in a row of words.
    @_transparent
    init(pairsOf source: UnsafeRawPointer, stride: Int) {
        self.init(
            pairedRows(source, 0 * stride, stride),
            pairedRows(source, 2 * stride, stride),
            pairedRows(source, 4 * stride, stride),
            pairedRows(source, 6 * stride, stride),
            pairedRows(source, 8 * stride, stride),
            pairedRows(source, 10 * stride, stride),
            pairedRows(source, 12 * stride, stride),
            pairedRows(source, 14 * stride, stride),
            pairedRows(source, 16 * stride, stride),
            pairedRows(source, 18 * stride, stride),
            pairedRows(source, 20 * stride, stride),
            pairedRows(source, 22 * stride, stride),
            pairedRows(source, 24 * stride, stride),
            pairedRows(source, 26 * stride, stride),
            pairedRows(source, 28 * stride, stride),
            pairedRows(source, 30 * stride, stride))
    }

    /// Rows become columns. Words, then pairs of words, are interleaved inside quarters of a register, and the quarters
    /// put in place: shuffles that do not cross quarters cost half of those that do.
    @_transparent
    var transposed: WordSquare { interleavedWords.interleavedPairs.gatheredQuarters.gatheredQuarters }

    /// Row 2n, 2n + 1: the low and the high words of each quarter of rows 2n and 2n + 1 in turns.
    @_transparent
    private var interleavedWords: WordSquare {
        WordSquare(
            instructions_low_words(r0, r1), instructions_high_words(r0, r1),
            instructions_low_words(r2, r3), instructions_high_words(r2, r3),
            instructions_low_words(r4, r5), instructions_high_words(r4, r5),
            instructions_low_words(r6, r7), instructions_high_words(r6, r7),
            instructions_low_words(r8, r9), instructions_high_words(r8, r9),
            instructions_low_words(r10, r11), instructions_high_words(r10, r11),
            instructions_low_words(r12, r13), instructions_high_words(r12, r13),
            instructions_low_words(r14, r15), instructions_high_words(r14, r15))
    }

    /// Row 4n … 4n + 3: column 0 … 3 of each quarter, for rows 4n … 4n + 3 of the square.
    @_transparent
    private var interleavedPairs: WordSquare {
        WordSquare(
            instructions_low_pairs(r0, r2), instructions_high_pairs(r0, r2), instructions_low_pairs(r1, r3),
            instructions_high_pairs(r1, r3),
            instructions_low_pairs(r4, r6), instructions_high_pairs(r4, r6), instructions_low_pairs(r5, r7),
            instructions_high_pairs(r5, r7),
            instructions_low_pairs(r8, r10), instructions_high_pairs(r8, r10), instructions_low_pairs(r9, r11),
            instructions_high_pairs(r9, r11),
            instructions_low_pairs(r12, r14), instructions_high_pairs(r12, r14), instructions_low_pairs(r13, r15),
            instructions_high_pairs(r13, r15))
    }

    /// Applied twice, quarter q of row 4n + c becomes quarter n of row 4q + c.
    @_transparent
    private var gatheredQuarters: WordSquare {
        WordSquare(
            instructions_even_quarters(r0, r4), instructions_even_quarters(r1, r5),
            instructions_even_quarters(r2, r6), instructions_even_quarters(r3, r7),
            instructions_even_quarters(r8, r12), instructions_even_quarters(r9, r13),
            instructions_even_quarters(r10, r14), instructions_even_quarters(r11, r15),
            instructions_odd_quarters(r0, r4), instructions_odd_quarters(r1, r5),
            instructions_odd_quarters(r2, r6), instructions_odd_quarters(r3, r7),
            instructions_odd_quarters(r8, r12), instructions_odd_quarters(r9, r13),
            instructions_odd_quarters(r10, r14), instructions_odd_quarters(r11, r15))
    }

    /// Writes the rows, `stride` bytes apart.
    @_transparent
    func store(_ target: UnsafeMutableRawPointer, stride: Int) {
        target.storeBytes(of: r0, as: Words.self)
        target.storeBytes(of: r1, toByteOffset: stride, as: Words.self)
        target.storeBytes(of: r2, toByteOffset: 2 * stride, as: Words.self)
        target.storeBytes(of: r3, toByteOffset: 3 * stride, as: Words.self)
        target.storeBytes(of: r4, toByteOffset: 4 * stride, as: Words.self)
        target.storeBytes(of: r5, toByteOffset: 5 * stride, as: Words.self)
        target.storeBytes(of: r6, toByteOffset: 6 * stride, as: Words.self)
        target.storeBytes(of: r7, toByteOffset: 7 * stride, as: Words.self)
        target.storeBytes(of: r8, toByteOffset: 8 * stride, as: Words.self)
        target.storeBytes(of: r9, toByteOffset: 9 * stride, as: Words.self)
        target.storeBytes(of: r10, toByteOffset: 10 * stride, as: Words.self)
        target.storeBytes(of: r11, toByteOffset: 11 * stride, as: Words.self)
        target.storeBytes(of: r12, toByteOffset: 12 * stride, as: Words.self)
        target.storeBytes(of: r13, toByteOffset: 13 * stride, as: Words.self)
        target.storeBytes(of: r14, toByteOffset: 14 * stride, as: Words.self)
        target.storeBytes(of: r15, toByteOffset: 15 * stride, as: Words.self)
    }
}

/// Sixteen bf16 numbers each of two rows, as words.
@_transparent
func pairedRows(_ source: UnsafeRawPointer, _ offset: Int, _ stride: Int) -> Words {
    widened(source.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt16>.self))
        | widened(source.loadUnaligned(fromByteOffset: offset + stride, as: SIMD16<UInt16>.self)) &<< 16
}
