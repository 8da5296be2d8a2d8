import Testing
import Training

/// The live display as a function of what it knows.
@Suite struct RunDisplayTests {
    private static func display(work: String? = nil) -> RunDisplay {
        var moment = RunMoment()
        (moment.steps, moment.checkpointStep, moment.metrics.ceilingShare) = (120, 50, 0.617)
        moment.slowest = SlowestRank([1, 1, 1, 1.083], hosts: ["a", "a", "b", "node2"])
        moment.metrics.step = 60
        (moment.metrics.learningRate, moment.metrics.muonLearningRate) = (6e-4, 0.012)
        (moment.metrics.measured.trainLoss, moment.metrics.measured.gradientNorm) = (2, 0.75)
        (moment.metrics.measured.tokensPerSecond, moment.metrics.measured.milliseconds) = (51_200, 50)
        moment.metrics.validationLoss = 2.1
        var display = RunDisplay()
        display.add(moment, at: 0)
        display.work = work
        return display
    }

    @Test func everythingOnAWideTerminal() {
        #expect(
            Self.display(work: "saving").lines(columns: 100, coloured: false) == [
                "████████████░░░░░░░░░░░░░  step 60/120  50.0 %  3 s left",
                "loss 2.0000  val loss 2.1000  best 2.1000 at step 60  ▁",
                "lr 0.000600  muon lr 0.012000  grad norm 0.750",
                "51200 tok/s  62 % of the ceiling  checkpoint step-00000050",
                "slowest rank 3 on node2  8.3 % over the median",
                "saving",
            ])
    }

    @Test func whatIsNotKnownIsNotThere() {
        var moment = RunMoment()
        moment.steps = 10
        moment.metrics.step = 1
        var display = RunDisplay()
        #expect(display.isEmpty && display.lines(columns: 80, coloured: true).isEmpty)
        display.work = "reading"
        #expect(!display.isEmpty && display.line == "reading")
        #expect(display.lines(columns: 80, coloured: false) == ["reading"])
        display.work = nil
        display.add(moment, at: 0)
        #expect(
            display.lines(columns: 80, coloured: false) == [
                "██░░░░░░░░░░░░░░░░░░  step 1/10  10.0 %  0 s left", "loss 0.0000  ▁", "lr 0.000000  grad norm 0.000",
                "0 tok/s  no checkpoint yet",
            ])
    }

    /// The bar becomes shorter, and what does not fit goes into a line more, field by field.
    @Test func onANarrowTerminal() {
        #expect(
            Self.display(work: "saving  412 / 1490 MB  310 MB/s  3 s left").lines(columns: 40, coloured: false) == [
                "████░░░░  step 60/120  50.0 %  3 s left", "loss 2.0000  val loss 2.1000",
                "best 2.1000 at step 60  ▁", "lr 0.000600  muon lr 0.012000", "grad norm 0.750",
                "51200 tok/s  62 % of the ceiling", "checkpoint step-00000050", "slowest rank 3 on node2",
                "8.3 % over the median", "saving  412 / 1490 MB  310 MB/s", "3 s left",
            ])
        // Without a bar; the checkpoint's name is cut.
        #expect(
            Self.display().lines(columns: 22, coloured: false) == [
                "step 60/120  50.0 %", "3 s left", "loss 2.0000", "val loss 2.1000", "best 2.1000 at step 6",
                "lr 0.000600",
                "muon lr 0.012000", "grad norm 0.750", "51200 tok/s", "62 % of the ceiling", "checkpoint step-00000",
                "slowest rank 3 on nod", "8.3 % over the median",
            ])
    }

    @Test func noLineIsEverWider() {
        let display = Self.display(work: String(repeating: "w", count: 200))
        for columns in 1...140 {
            let plain = display.lines(columns: columns, coloured: false)
            for line in plain {
                #expect(line.count <= max(1, columns - 1), "\(columns): \(line)")
                // The curve has no line of its own.
                #expect(!line.hasPrefix("▁"), "\(columns)")
            }
            // Colours change nothing but colours, and end in their line.
            let coloured = display.lines(columns: columns, coloured: true)
            #expect(coloured.map { $0.replacing(/\u{1B}\[\d+m/, with: "") } == plain)
            #expect(coloured.allSatisfy { $0.matches(of: /\u{1B}\[0m/).count * 2 == $0.matches(of: /\u{1B}/).count })
            #expect(!plain.joined().contains("\u{1B}"))
        }
    }

    @Test func theBestValidationLossStays() {
        var display = Self.display()
        for (step, loss) in [(80, 1.9), (100, 2.4)] {
            var moment = RunMoment()
            (moment.steps, moment.metrics.step, moment.metrics.validationLoss) = (120, step, loss)
            display.add(moment, at: Double(step))
        }
        #expect(display.lines(columns: 100, coloured: false)[1].contains("val loss 2.4000  best 1.9000 at step 80  "))
    }
}

@Suite struct LossHistoryTests {
    private func history(_ losses: [Double]) -> LossHistory {
        var history = LossHistory()
        for loss in losses { history.add(loss) }
        return history
    }

    @Test func aSparkline() {
        let falling = history([8, 7, 6, 5, 4, 3, 2, 1])
        #expect(falling.sparkline(columns: 60) == "██▇▆▅▃▂▁")
        #expect(falling.sparkline(columns: 4) == "██▅▁")
        #expect(falling.sparkline(columns: 0) == "" && falling.sparkline(columns: -3) == "")
        #expect(history([]).sparkline(columns: 60) == "")
        #expect(history([2, 2, 2]).sparkline(columns: 60) == "▁▁▁")
        #expect(history([2, .nan, 1, .infinity]).points == [2, 1])
    }

    /// Means of equally many steps over the whole run.
    @Test func pointsAreThinned() {
        let long = history((0..<1000).map(Double.init))
        #expect(long.stepsPerPoint == 32 && long.points.count == 31)
        for (index, point) in long.points.enumerated() { #expect(point == 32 * Double(index) + 15.5) }
        for count in [1, 59, 60, 61, 119, 120, 5000] {
            let points = history((0..<count).map(Double.init)).points
            #expect(points.count < LossHistory.capacity && (count < 60 || points.count >= 30), "\(count)")
            #expect(history((0..<count).map(Double.init)).sparkline(columns: 25).count <= 25)
        }
    }
}

@Suite struct PaceTests {
    @Test func nothingIsKnownAtFirst() { #expect(Pace().secondsPerStep == nil) }

    /// An evaluation of a second after each tenth step.
    @Test func evaluationsCount() throws {
        var pace = Pace()
        var now = 100.0
        for step in 1...1000 {
            now += 0.01 + (step % 10 == 0 ? 1 : 0)
            pace.add(seconds: 0.01, at: now)
        }
        let seconds = try #require(pace.secondsPerStep)
        #expect(abs(seconds - 0.11) < 1e-3)
    }

    @Test func aStepThatTookVeryLongDoesNot() throws {
        var pace = Pace()
        var now = 0.0
        for step in 0..<20 {
            let seconds = step == 7 ? 10 : 0.01
            now += seconds
            pace.add(seconds: seconds, at: now)
        }
        #expect(abs(try #require(pace.secondsPerStep) - 0.01) < 1e-9)
    }

    /// The newest steps count: sequences that grow make them longer.
    @Test func oldStepsAreForgotten() throws {
        var pace = Pace()
        var now = 0.0
        for step in 0..<2 * Pace.window {
            let seconds = step < Pace.window ? 1.0 : 2
            now += seconds
            pace.add(seconds: seconds, at: now)
        }
        #expect(abs(try #require(pace.secondsPerStep) - 2) < 1e-9)
    }
}
