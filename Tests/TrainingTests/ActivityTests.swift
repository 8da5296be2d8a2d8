import Basics
import Collectives
import Kernels
import Testing
import Training

/// What the watchdog is told: which part of a run is under way, and so which limit holds.
@Suite struct ActivityTests {
    /// What is told is told for the whole process, so this takes one of its own.
    @Test("H1: the first step of a start and of a resume, later steps, evaluations and saves have their own limits")
    func sections() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let first = try moments(directory.file("run"), stopAfter: 3)
            #expect(
                first == [
                    "step: firstStep 1", "step: firstStep 1", "epoch: firstStep 1",
                    "step: step 2", "step: step 2", "epoch: evaluation 2", "checkpoint: save 2",
                    "step: step 3", "step: step 3", "epoch: step 3", "checkpoint: save 3",
                ])
            let second = try moments(directory.file("run"), stopAfter: nil)
            #expect(
                second == [
                    "step: firstStep 4", "step: firstStep 4", "epoch: evaluation 4", "checkpoint: save 4",
                    "step: step 5", "step: step 5", "epoch: evaluation 5", "checkpoint: save 5",
                ])
        }
    }
}

/// Section and step at both ends of each step, at its log line and while it is saved.
private func moments(_ path: String, stopAfter: Int?) throws -> [String] {
    var configuration = try Curve.configuration(runDirectory: path)
    configuration.validationData = FilePath(Curve.tokens)
    configuration.evalSequences = 4
    configuration.evalInterval = 2
    configuration.checkpointInterval = 2
    configuration.logInterval = 1
    configuration.steps = 5
    configuration.warmupSteps = 1
    configuration.stopAfter = stopAfter
    let witness = Witness()
    let trainer = try Trainer(configuration, communicator: SingleProcess(), reporter: witness)
    trainer.clock = {
        witness.look("step")
        return Timeline.now()
    }
    _ = try trainer.run()
    return witness.moments
}

private final class Witness: Reporter {
    private(set) var moments: [String] = []

    func look(_ occasion: String) {
        let state = Activity.state
        moments.append("\(occasion): \(state.section) \(state.step)")
    }

    func line(_ text: String) {
        if text.hasPrefix("epoch ") { look("epoch") }
        if text.hasPrefix("checkpoint saved ") { look("checkpoint") }
    }

    func warning(_ text: String) {}
}
