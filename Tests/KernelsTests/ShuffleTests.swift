import CInstructions
import Testing

/// The tests are compiled for any CPU, so what they call is the plain C that stands in for the shuffles of AVX-512. That
/// the instructions themselves do the same, the products with a packed operand show.
@Suite struct ShuffleTests {
    typealias Words = SIMD16<UInt32>
    let a = Words(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    let b = Words(100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115)

    /// Applies a choice of four words to each quarter.
    private func quarters(_ choose: (_ a: [UInt32], _ b: [UInt32]) -> [UInt32]) -> Words {
        let parts = (0..<4).map { quarter in
            choose((0..<4).map { a[4 * quarter + $0] }, (0..<4).map { b[4 * quarter + $0] })
        }
        return Words(Array(parts.joined()))
    }

    @Test func insideQuarters() {
        #expect(instructions_low_words(a, b) == quarters { [$0[0], $1[0], $0[1], $1[1]] })
        #expect(instructions_high_words(a, b) == quarters { [$0[2], $1[2], $0[3], $1[3]] })
        #expect(instructions_low_pairs(a, b) == quarters { [$0[0], $0[1], $1[0], $1[1]] })
        #expect(instructions_high_pairs(a, b) == quarters { [$0[2], $0[3], $1[2], $1[3]] })
    }

    @Test func wholeQuarters() {
        #expect(
            instructions_even_quarters(a, b)
                == Words(0, 1, 2, 3, 8, 9, 10, 11, 100, 101, 102, 103, 108, 109, 110, 111))
        #expect(
            instructions_odd_quarters(a, b)
                == Words(4, 5, 6, 7, 12, 13, 14, 15, 104, 105, 106, 107, 112, 113, 114, 115))
    }
}
