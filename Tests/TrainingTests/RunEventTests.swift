import Foundation
import Testing
import Training

/// What a run says, for people and for programs.
@Suite struct RunEventTests {
    private static let sample = {
        var sample = TextSample()
        (sample.step, sample.prompt, sample.text) = (20, "let ", "x\t= 1\r\nvar \u{1B}[31my\n")
        return sample
    }()

    private static let events: [(event: RunEvent, lines: [String], json: String)] = [
        (.message("memory: \"all\""), ["memory: \"all\""], #""event":"message","message":"memory: \"all\""}"#),
        (.warning("full"), ["full"], #""event":"warning","message":"full"}"#),
        (
            .step(MetricsTests.metrics, text: "epoch 1  step 10"), ["epoch 1  step 10"],
            #""event":"step","# + MetricsTests.metrics.json.dropFirst()
        ),
        (
            .checkpoint(name: "step-00000010", step: 10, bestLoss: nil), ["checkpoint saved step-00000010"],
            #""event":"checkpoint","step":10,"name":"step-00000010"}"#
        ),
        (
            .checkpoint(name: "step-00000010", step: 10, bestLoss: 1.25),
            ["checkpoint saved step-00000010  best validation loss 1.2500"],
            #""event":"checkpoint","step":10,"name":"step-00000010","best_val_loss":1.25}"#
        ),
        (
            .sample(sample), ["sample at step 20, after \"let \":", "  x    = 1", "  var \\x1b[31my", "  "],
            #""event":"sample","step":20,"prompt":"let ","text":"x\t= 1\r\nvar \u001b[31my\n"}"#
        ),
        (.stopped(step: 7, text: "stopped"), ["stopped"], #""event":"stopped","step":7,"message":"stopped"}"#),
    ]

    @Test(arguments: 0..<events.count) func linesAndJSON(index: Int) throws {
        let (event, lines, json) = Self.events[index]
        #expect(event.lines == lines)
        let text = event.json(time: "2026-11-28T00:10:55.120Z")
        #expect(text == #"{"time":"2026-11-28T00:10:55.120Z","# + json)
        #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any])
    }

    @Test func aSampleWithoutAPrompt() {
        var sample = Self.sample
        sample.prompt = ""
        #expect(sample.logLines[0] == "sample at step 20, a text from its beginning:")
    }

    /// A reporter that knows nothing of events has their lines.
    @Test func eventsAreLinesOtherwise() {
        let reporter = RecordingReporter()
        for (event, _, _) in Self.events { reporter.event(event) }
        #expect(reporter.lines == Self.events.flatMap(\.lines))
        #expect(!reporter.isLive)
    }
}
