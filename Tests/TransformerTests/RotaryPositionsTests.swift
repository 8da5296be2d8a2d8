import Basics
import Foundation
import Testing
import Transformer

@Suite struct RotaryPositionsTests {
    /// θ^(−2j/R), the definition.
    private func plain(_ theta: Double, _ size: Int) -> [Double] {
        (0..<size / 2).map { pow(theta, -2 * Double($0) / Double(size)) }
    }

    private func isNear(_ frequencies: [Float], _ expected: [Double]) -> Bool {
        frequencies.count == expected.count
            && zip(frequencies, expected).allSatisfy { (Double($0) - $1).magnitude < 1e-6 * $1 }
    }

    @Test(arguments: [(10_000.0, 64), (500_000, 128), (100, 6), (1e6, 2)])
    func frequencies(theta: Double, size: Int) {
        let expected = plain(theta, size)
        #expect(isNear(RotaryPositions(theta: theta, rotatedSize: size).frequencies, expected))
        let linear = RotaryPositions(theta: theta, rotatedSize: size, scaling: .linear(factor: 2.5))
        #expect(isNear(linear.frequencies, expected.map { $0 / 2.5 }))
    }

    /// Wavelengths of 6.3, 29 and 135 tokens: below 64 / 4, between, and above 64 / 1.
    @Test func eachBandOfLlama3() {
        let expected = plain(100, 6)
        let share = (64 / (2 * Double.pi / expected[1]) - 1) / (4 - 1)
        #expect(share > 0.3 && share < 0.5)
        let scaled = RotaryPositions(theta: 100, rotatedSize: 6, scaling: Families.llama3Scaling)
        #expect(
            isNear(
                scaled.frequencies,
                [expected[0], expected[1] * share + expected[1] / 8 * (1 - share), expected[2] / 8]))
    }

    @Test(arguments: [
        (10_000.0, 3, "turn 3 columns of a head of 8"), (10_000, 0, "turn 0 columns"), (10_000, 10, "turn 10 columns"),
        (0, 8, "have base 0.0"), (2e12, 8, "have base"), (.nan, 8, "have base nan"),
    ])
    func refusesWhatCannotBe(theta: Double, size: Int, message: String) throws {
        let error = #expect(throws: ExitError.self) {
            try RotaryPositions(theta: theta, rotatedSize: size).validate(headSize: 8)
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.exitCode == 64)
    }

    @Test(arguments: [2, 8]) func theEndsOfTheRangesBelongToThem(size: Int) throws {
        for theta in [RotaryPositions.thetas.lowerBound, RotaryPositions.thetas.upperBound] {
            try RotaryPositions(theta: theta, rotatedSize: size).validate(headSize: 8)
        }
    }
}
