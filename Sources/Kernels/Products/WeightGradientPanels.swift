// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions

// T, M, N: c[M, N] = a[T, M]ᵀ · b[T, N]; tokens are the rows of a and b, words are as in Packing.swift.

/// The operands of a `WeightGradientProduct`, packed for one block of tokens.
///
/// Both lie token by token, the way that their words are read, so that nothing is turned round: two tokens are interleaved
/// while they stream by.
enum WeightGradientPanels {
    /// Words that a number of c sums up at a time: the tokens of a block.
    static var words: Int { 128 }
    /// Words are filled up to a multiple of this, with zeros.
    static var wordGrain: Int { 16 }
    /// Rows of c that a panel of a is for, and columns that a panel of b is for.
    static var leftWidth: Int { 8 }
    static var rightWidth: Int { 32 }
    /// Words from one panel of a to the next. Without the gap all panels would lie in the same few sets of the L1 cache, and
    /// packing, which fills them side by side, would take three times as long.
    static var leftStep: Int { words * leftWidth + 16 }
    /// Words of the one panel of b.
    static var rightWords: Int { words * rightWidth }

    /// Words that the panels of a take, for this many rows of c: packing fills four panels at a time.
    static func leftWords(_ rows: Int) -> Int { (rows + 31) / 32 * 4 * leftStep }

    /// Tokens of a block.
    @_transparent
    static func tokens<E: ActivationElement>(_: E.Type) -> Int { E.precision == .bf16 ? 2 * words : words }

    /// Words of a block of so many tokens, the zeros included.
    @_transparent
    static func words<E: ActivationElement>(_ tokens: Int, _: E.Type) -> Int {
        (Packing.wordCount(tokens, E.self) + wordGrain - 1) / wordGrain * wordGrain
    }

    /// Packs a block of a: word w of row m of c lies at `m / 8 * leftStep + w * 8 + m % 8`. Zeros fill up the words and the
    /// panels.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func packLeft<E: ActivationElement>(
        _ a: UnsafePointer<E>, stride M: Int, tokens: Int, rows count: Int, to target: UnsafeMutablePointer<UInt32>
    ) {
        for word in 0..<words(tokens, E.self) {
            let pair = Pair(a, M, word, tokens)
            var to = target + word &* leftWidth
            for m in stride(from: 0, to: count, by: 32) {
                let (first, last) = pair.words(m, count: count &- m)
                storeWords(first.lowHalf, to: to)
                storeWords(first.highHalf, to: to + leftStep)
                storeWords(last.lowHalf, to: to + 2 &* leftStep)
                storeWords(last.highHalf, to: to + 3 &* leftStep)
                to += 4 &* leftStep
            }
        }
    }

    /// Packs up to 32 columns of a block of b: word w of column n lies at `w * 32 + n`. Zeros fill up words and columns.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func packRight<E: ActivationElement>(
        _ b: UnsafePointer<E>, stride N: Int, tokens: Int, columns count: Int, to target: UnsafeMutablePointer<UInt32>
    ) {
        for word in 0..<words(tokens, E.self) {
            let (first, last) = Pair(b, N, word, tokens).words(0, count: count)
            storeWords(first, to: target + word &* rightWidth)
            storeWords(last, to: target + word &* rightWidth + 16)
        }
    }

    /// The one or two tokens of a row of words.
    private struct Pair<E: ActivationElement> {
        let first, second: UnsafePointer<E>
        /// Clears what there is no token for.
        let mask: Words

        @_transparent
        init(_ source: UnsafePointer<E>, _ stride: Int, _ word: Int, _ tokens: Int) {
            let token = E.precision == .bf16 ? 2 &* word : word
            first = source + min(token, tokens &- 1) &* stride
            second = source + min(token &+ 1, tokens &- 1) &* stride
            let isWhole = E.precision == .fp32 || token &+ 1 < tokens
            mask = Words(repeating: token >= tokens ? 0 : isWhole ? .max : 0xffff)
        }

        /// The words of 32 columns, of which `count` are there.
        @_transparent
        func words(_ column: Int, count: Int) -> (Words, Words) {
            let x = UnsafeRawPointer(first + column)
            let y = E.precision == .fp32 ? x + 64 : UnsafeRawPointer(second + column)
            var low, high: Words
            if count >= 32 {
                (low, high) = (x.loadUnaligned(as: Words.self), y.loadUnaligned(as: Words.self))
            } else if E.precision == .fp32 {
                low = instructions_load_halves(x, 2 &* count)
                high = instructions_load_halves(y, 2 &* count &- 32)
            } else {
                (low, high) = (instructions_load_halves(x, count), instructions_load_halves(y, count))
            }
            if E.precision == .bf16 {
                (low, high) = (instructions_first_halves(low, high), instructions_last_halves(low, high))
            }
            return (low & mask, high & mask)
        }
    }
}

@_transparent
private func storeWords(_ words: SIMD8<UInt32>, to target: UnsafeMutablePointer<UInt32>) {
    UnsafeMutableRawPointer(target).storeBytes(of: words, as: SIMD8<UInt32>.self)
}
