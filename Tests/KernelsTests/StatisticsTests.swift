import Kernels
import TestSupport
import Testing

@Suite struct StatisticsTests {
    @Test func figures() throws {
        let statistics = try TensorStatistics(Operand([1, -3, 5, 1], Float.self).all)
        #expect(statistics.mean == 1)
        #expect((statistics.standardDeviation - 8.0.squareRoot()).magnitude < 1e-12)
        #expect(statistics.largestMagnitude == 5)
        #expect(statistics.nonFiniteCount == 0)
    }

    @Test(arguments: [([1, -7, 5], 7), ([-2, -0.5], 2), ([0, 0], 0), ([], 0)] as [([Double], Double)])
    func theLargestIsOneOfEitherSign(values: [Double], largest: Double) throws {
        #expect(try TensorStatistics(Operand(values, Float.self).all).largestMagnitude == largest)
    }

    /// Where rounding would make the variance negative, and where there is nothing to take a mean of.
    @Test func figuresAreNumbers() throws {
        for count in 1...60 {
            let same = try TensorStatistics(Operand(Array(repeating: 0.1, count: count), Float.self).all)
            #expect(same.standardDeviation >= 0 && same.standardDeviation < 1e-7, "\(count)")
        }
        let none = try TensorStatistics(Operand([.nan, .infinity], Float.self).all)
        #expect(none.mean == 0 && none.standardDeviation == 0 && none.largestMagnitude == 0 && none.nonFiniteCount == 2)
    }

    @Test func nonFiniteValuesAreCountedAndLeftOut() throws {
        let statistics = try TensorStatistics(Operand([.nan, 2, .infinity, 4, -.infinity], BFloat16.self).all)
        #expect(statistics.mean == 3)
        #expect(statistics.standardDeviation == 1)
        #expect(statistics.largestMagnitude == 4)
        #expect(statistics.nonFiniteCount == 3)
    }
}

@Suite struct FingerprintTests {
    /// Every bit of every element, at lengths with and without a tail behind the eight lanes.
    @Test(arguments: [1, 2, 15, 16, 17, 64, 100])
    func everyBitCounts(count: Int) throws {
        var random = TestRandom(UInt64(count))
        let values = random.normal(count).map { Float($0) }
        let buffer = try Buffer<Float>(count: count)
        buffer.set(values)
        var seen: Set<UInt64> = [Fingerprint.compute(buffer.all)]
        for place in 0..<count {
            for bit in 0..<32 {
                buffer.set([Float(bitPattern: values[place].bitPattern ^ 1 << UInt32(bit))], at: place)
                seen.insert(Fingerprint.compute(buffer.all))
            }
            buffer.set([values[place]], at: place)
        }
        // All different from the first and from each other.
        #expect(seen.count == 1 + 32 * count)
    }

    /// Single bits of a large arena, at several thousand places.
    @Test func bitsOfALargeArena() throws {
        var random = TestRandom(7)
        let count = 10_007
        let values = random.normal(count).map { Float($0) }
        let buffer = try Buffer<Float>(count: count)
        buffer.set(values)
        var seen: Set<UInt64> = [Fingerprint.compute(buffer.all)]
        for place in stride(from: 0, to: count, by: 3) {
            let bit = UInt32.random(in: 0..<32, using: &random)
            buffer.set([Float(bitPattern: values[place].bitPattern ^ 1 << bit)], at: place)
            seen.insert(Fingerprint.compute(buffer.all))
            buffer.set([values[place]], at: place)
        }
        #expect(seen.count == 1 + (count + 2) / 3)
    }

    /// What a plain sum of words would miss: order, length, signs of zero.
    @Test func orderAndLengthCount() throws {
        func hash(_ values: [Double]) throws -> UInt64 { Fingerprint.compute(try Operand(values, Float.self).all) }
        var values = (0..<64).map { Double($0) }
        let first = try hash(values)
        values.swapAt(3, 19)
        #expect(try hash(values) != first)
        #expect(try hash([]) != hash([0]))
        #expect(try hash([0]) != hash([0, 0]))
        #expect(try hash([0]) != hash([-0.0]))
        #expect(try hash([1, 2, 3]) == hash([1, 2, 3]))
    }

    @Test func combineDependsOnBothAndOnOrder() {
        let hashes = [
            Fingerprint.combine(1, 2), Fingerprint.combine(2, 1), Fingerprint.combine(1, 3), Fingerprint.combine(0, 0),
        ]
        #expect(Set(hashes).count == 4)
    }
}
