import Testing
import Training

/// The live display in one line.
@Suite struct ProgressTests {
    private func text(_ step: Int, of steps: Int = 40, left: Double = 5) -> String {
        var moment = RunMoment()
        (moment.metrics.step, moment.steps) = (step, steps)
        (moment.metrics.measured.trainLoss, moment.metrics.measured.tokensPerSecond) = (2.34567, 1234.5)
        moment.metrics.measured.milliseconds = 1000 * left / Double(steps - step)
        var display = RunDisplay()
        display.add(moment, at: 0)
        return display.line
    }

    @Test func theBarFillsUp() {
        for (step, filled) in [(0, 0), (1, 0), (2, 1), (20, 15), (39, 29), (40, 30)] {
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
            #expect(text(step).hasPrefix(bar + " \(step)/40  "))
        }
        #expect(text(7, of: 0).prefix(30).allSatisfy { $0 == "█" })
    }

    @Test(arguments: [
        (0.4, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3599, "59 min 59 s"),
        (3600, "1 h 0 min"), (7384, "2 h 3 min"), (360_000, "100 h 0 min"), (1e7, "?"), (.infinity, "?"), (.nan, "?"),
    ])
    func theTimeLeft(seconds: Double, says: String) {
        #expect(text(20, left: seconds).hasSuffix("  loss 2.3457  1234 tok/s  \(says) left"))
    }
}
