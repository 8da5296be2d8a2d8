import CInstructions
import Kernels
import TestSupport
import Testing

@Suite struct BFloat16Tests {
    static let allPatterns = (0...UInt16.max).map { BFloat16(bitPattern: $0) }

    /// Rounds one by one and sixteen at a time; both must give the same.
    private func round(_ values: [Float], sourceLocation: SourceLocation = #_sourceLocation) throws -> [BFloat16] {
        let source = try Buffer<Float>(count: values.count)
        source.set(values)
        let target = try Buffer<BFloat16>(count: values.count)
        Vector.round(try Compute(threadCount: 1).pool, source.all, into: target.all)
        let rounded = target.array()
        let differences = zip(values, rounded).filter { BFloat16(rounding: $0) != $1 }
        #expect(differences.isEmpty, "scalar and vector rounding differ", sourceLocation: sourceLocation)
        return rounded
    }

    /// Every normal number that bf16 can hold stays as it is, infinities and both zeros included; NaNs become quiet ones
    /// and keep what they carry, subnormal numbers become zeros and keep their sign: what `VCVTNEPS2BF16` does.
    @Test func everyPatternReturns() throws {
        let values = Self.allPatterns.map(\.float)
        let rounded = try round(values)
        for (pattern, result) in zip(Self.allPatterns, rounded) {
            if pattern.float.isNaN {
                #expect(result.bitPattern == pattern.bitPattern | 0x40)
            } else if pattern.float.isSubnormal {
                #expect(result.bitPattern == pattern.bitPattern & 0x8000)
            } else {
                #expect(result == pattern)
            }
        }
    }

    /// Around every number: just below and above the middle to the next, and the middle itself, which goes to even.
    @Test func nearestTiesToEven() throws {
        var values: [Float] = []
        var wanted: [UInt16] = []
        for pattern in Self.allPatterns where pattern.float.isNormal {
            let bits = UInt32(pattern.bitPattern) << 16
            for (low, up) in [(1, 0), (0x7fff, 0), (0x8000, pattern.bitPattern & 1), (0x8001, 1), (0xffff, 1)] {
                values.append(Float(bitPattern: bits | UInt32(low)))
                // One step away from zero; past the largest number this is infinity.
                wanted.append(pattern.bitPattern + UInt16(up))
            }
        }
        expectSame(try round(values).map(\.bitPattern), wanted, "rounded")
    }

    /// The scalar keeps every NaN, also one whose payload lies in the low half alone or would carry into the sign.
    @Test func nanStaysNaN() {
        for bits: UInt32 in [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff, 0x7fc0_0000, 0x7f80_8000, 0xffc0_ffff]
        {
            #expect(BFloat16(rounding: Float(bitPattern: bits)).float.isNaN)
        }
    }

    /// The vector, and its tail, keep every NaN that arithmetic makes.
    @Test func nanOfArithmeticStaysNaN() throws {
        let zero = Float(Int.random(in: 0...0))
        let made = [zero / zero, .infinity - .infinity * (1 - zero), (-1 - zero).squareRoot(), zero * .infinity]
        let values = (0..<18).map { made[$0 % 4] }
        #expect(values.allSatisfy { $0.isNaN })
        #expect(try round(values).allSatisfy { $0.float.isNaN })
    }

    /// The plain C that stands in on a CPU without the instruction gives the same.
    @Test func plainRoundingAgrees() throws {
        var random = TestRandom(9)
        let patterns = (0..<1 << 16).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        let middles = Self.allPatterns.map { Float(bitPattern: UInt32($0.bitPattern) << 16 | 0x8000) }
        let values = Self.allPatterns.map(\.float) + middles + patterns.map(Float.init(bitPattern:))
        let rounded = try round(values).map(\.bitPattern)
        for start in stride(from: 0, to: values.count, by: 16) {
            let plain = instructions_plain_round_bf16(SIMD16(values[start..<start + 16]))
            #expect((0..<16).allSatisfy { plain[$0] == rounded[start + $0] }, "from element \(start)")
        }
    }

    @Test func overflowIsInfinite() throws {
        let rounded = try round([.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .infinity, -.infinity])
        #expect(rounded.map(\.float) == [.infinity, -.infinity, .infinity, -.infinity])
    }
}
