import Basics
import Collectives
import TestSupport
import Testing
import Training

/// Ranks of one resumed run whose command lines differ.
@Suite struct ResumeOnRanksTests {
    private func run(_ first: TrainingConfiguration, _ second: TrainingConfiguration) throws -> [Trainer.Outcome] {
        try ThreadWorld.run(worldSize: 2) { communicator in
            try Trainer(
                communicator.rank == 0 ? first : second, communicator: communicator, reporter: SilentReporter()
            ).run()
        }
    }

    /// Both have the same value; but the one that did not give it takes the checkpoint's.
    @Test func aValueThatOneRankAloneWasGiven() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        try configuration.set("beta2", "0.99")
        configuration.stopAfter = 1
        #expect(try run(configuration, configuration) == [.stopped, .stopped])

        var given = try Curve.configuration(runDirectory: directory.file("run"))
        given.stopAfter = 2
        let open = given
        try given.set("beta2", "0.95")
        let error = try #require(throws: AgreedError.self) { _ = try run(given, open) }
        #expect(error.exitCode == .ranksDisagree)
        #expect(error.description.contains("rank {0} beta2=0.95, rank {1} beta2=0.99"), "\(error)")
        #expect(try run(open, open) == [.stopped, .stopped])
    }
}
