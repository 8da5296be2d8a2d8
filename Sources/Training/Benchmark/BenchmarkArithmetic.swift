/// How a benchmark's figures follow from what was measured. Nothing here measures.
package enum BenchmarkArithmetic {
    /// What steps of these milliseconds reached of a ceiling, as a share: `flops` of one rank a step at their median
    /// time, against `ceiling` in GFLOP/s of one rank.
    package static func utilization(flops: Double, milliseconds: [Double], ceiling: Double) -> Double {
        flops / (median(milliseconds) * 1e6) / ceiling
    }

    /// Tokens a second where a step of `tokens` tokens takes `milliseconds`.
    package static func tokensPerSecond(_ tokens: Int, milliseconds: Double) -> Double {
        Double(tokens) / milliseconds * 1000
    }

    /// Reduction and waiting for other ranks as a share of a step's milliseconds.
    package static func averagingShare(_ parts: [StepBreakdown.Part], milliseconds: Double) -> Double {
        parts.filter { $0.name == "reduction" || $0.name == "waiting" }.reduce(0) { $0 + $1.milliseconds }
            / milliseconds
    }

    /// The number of steps of a round, from 0, where `steps` are shared over `rounds` as evenly as can be.
    package static func steps(ofRound round: Int, of rounds: Int, steps: Int) -> Int {
        steps * (round + 1) / rounds - steps * round / rounds
    }
}

/// The middle value; the mean of the two middle ones where their number is even, 0 where there is none.
package func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
