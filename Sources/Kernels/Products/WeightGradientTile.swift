import CInstructions

/// The innermost part of a `WeightGradientProduct`: 8 × 32 numbers of the result, whose sums fill 16 registers.
enum WeightGradientTile {
    /// Memory that a tile asks for while it computes, because what comes next needs it, and it may be far away.
    struct Ahead<E: ActivationElement> {
        /// The next tile of c, whose rows are so many elements apart.
        var result: UnsafePointer<Float>
        var resultStep: Int
        /// Rows of it for each run of words.
        var resultRows: Int
        /// 32 columns of b, and elements from one token to the next.
        var right: UnsafePointer<E>
        var rightStep: Int
        /// So many columns of a, and elements from one token to the next.
        var left: UnsafePointer<E>
        var leftStep: Int
        var leftCount: Int
        /// Tokens of both for each run of words.
        var tokens: Int

        /// Goes on behind what a tile of so many words asked for.
        mutating func advance(words: Int) {
            let tokens = words / WeightGradientPanels.wordGrain * tokens
            right += tokens * rightStep
            left += tokens * leftStep
        }
    }

    /// c[8, 32] = a panel of a · the panel of b, or c += that product, which is summed first.
    ///
    /// - Parameters:
    ///   - words: a multiple of `wordGrain`.
    ///   - step: elements from one row of c to the next.
    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    static func run<E: ActivationElement>(
        _ a: UnsafePointer<UInt32>, _ b: UnsafePointer<UInt32>, words: Int, _ c: UnsafeMutablePointer<Float>,
        step: Int, accumulates: Bool, _ ahead: Ahead<E>
    ) {
        var left = InlineArray<8, SIMD16<Float>>(repeating: SIMD16())
        var right = left
        var (column, row, next) = (a, b, ahead)
        for _ in 0..<words / WeightGradientPanels.wordGrain {
            next.request()
            for _ in 0..<WeightGradientPanels.wordGrain {
                let b0 = loadWords(row)
                let b1 = loadWords(row + 16)
                // Each word of a goes to all lanes and meets both vectors of b.
                for i in 0..<8 {
                    left[unchecked: i] = PackedProduct.dot(E.self, left[unchecked: i], column[i], b0)
                    right[unchecked: i] = PackedProduct.dot(E.self, right[unchecked: i], column[i], b1)
                }
                column += WeightGradientPanels.leftWidth
                row += WeightGradientPanels.rightWidth
            }
        }
        if accumulates {
            for i in 0..<8 {
                left[unchecked: i] += Float.load16(c + i &* step)
                right[unchecked: i] += Float.load16(c + i &* step + 16)
            }
        }
        for i in 0..<8 {
            Float.store16(left[unchecked: i], to: c + i &* step)
            Float.store16(right[unchecked: i], to: c + i &* step + 16)
        }
    }
}

extension WeightGradientTile.Ahead {
    /// Asks for a share. A tile does so once in sixteen words: all at once would keep its own operands waiting.
    @_transparent
    fileprivate mutating func request() {
        // The ends of both vectors: where rows begin inside a line, the panel before has asked for the first one.
        for _ in 0..<resultRows {
            instructions_prefetch_to_write(result + 15)
            instructions_prefetch_to_write(result + 31)
            result += resultStep
        }
        for _ in 0..<tokens {
            // The last line, where columns begin inside one: the panel before has asked for the first.
            let end = UnsafeRawPointer(right + WeightGradientPanels.rightWidth) - 1
            instructions_prefetch(end)
            if E.precision == .fp32 { instructions_prefetch(end - 64) }
            right += rightStep
            for i in stride(from: 0, to: leftCount, by: 64 / MemoryLayout<E>.stride) { instructions_prefetch(left + i) }
            left += leftStep
        }
    }
}
