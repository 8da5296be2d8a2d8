import Collectives
import Kernels
import Synchronization
import TestSupport
import Testing
import Training
import Transformer

@Suite struct RankTimesTests {
    @Test func theSlowestRankAndByHowMuch() throws {
        let slowest = try #require(SlowestRank([2, 2, 3, 2, 1], hosts: ["a", "a", "b", "b", "c"]))
        #expect(slowest.rank == 2 && slowest.host == "b" && slowest.excess == 0.5)
        let equal = try #require(SlowestRank([2, 2], hosts: ["a", "b"]))
        #expect(equal.rank == 0 && equal.excess == 0)
    }

    @Test func whereThereIsNone() {
        #expect(SlowestRank([2], hosts: ["a"]) == nil)
        #expect(SlowestRank([], hosts: []) == nil)
        #expect(SlowestRank([0, 0], hosts: ["a", "b"]) == nil)
        #expect(SlowestRank([1, 2], hosts: []) == nil)
    }

    /// Keeps what is said of the ranks.
    private final class Watcher: Reporter, Sendable {
        private let found = Mutex<[SlowestRank?]>([])
        var slowest: [SlowestRank?] { found.withLock { $0 } }
        func line(_ text: String) {}
        func warning(_ text: String) {}
        func progress(_ moment: RunMoment) { found.withLock { $0.append(moment.slowest) } }
    }

    /// Steps of 10, 20 and 10 ms on the three ranks, a log line after each second one.
    @Test func ranksTellEachOtherWithALogLine() throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        (configuration.steps, configuration.warmupSteps, configuration.logInterval) = (5, 1, 2)
        configuration.globalBatch = 3
        let final = configuration
        let watcher = Watcher()
        _ = try ThreadWorld.run(worldSize: 3) { communicator in
            let reporter: any Reporter = communicator.rank == 0 ? watcher : SilentReporter()
            let trainer = try Trainer(final, communicator: communicator, reporter: reporter)
            var now: UInt64 = 0
            trainer.clock = {
                now += communicator.rank == 1 ? 20_000_000 : 10_000_000
                return now
            }
            _ = try trainer.run()
        }
        #expect(watcher.slowest.count == 5 && watcher.slowest[0] == nil)
        for slowest in watcher.slowest.dropFirst() {
            let slowest = try #require(slowest)
            #expect(slowest.rank == 1 && !slowest.host.isEmpty && abs(slowest.excess - 1) < 1e-6, "\(slowest)")
        }
    }
}

/// Products of all weights of matrices, three times, and of attention below the diagonal, seven times.
@Suite struct RunCeilingTests {
    @Test func tokensFollowFromTheShape() throws {
        let shape = try DecoderConfiguration(
            vocabularySize: 256, contextLength: 32, embeddingSize: 64, layerCount: 2, headCount: 2)
        let weights = 2 * 12 * 64 * 64 + 256 * 64
        let operations = Double(6 * weights + 7 * 2 * 32 * 64)
        let alone = RunCeiling(shape, .fp32, gigaflops: 50, ranks: 1)
        #expect(abs(alone.tokensPerSecond / (50e9 / operations) - 1) < 1e-9)
        let both = RunCeiling(shape, .bf16, gigaflops: 50, ranks: 2)
        #expect(abs(both.tokensPerSecond / alone.tokensPerSecond - 2) < 1e-9)
        #expect(abs(try #require(alone.share(of: alone.tokensPerSecond / 4)) - 0.25) < 1e-9)
    }

    /// It is measured where a display is shown, on all ranks; a run without one and without events does not take the time.
    @Test(arguments: [true, false]) func whereItIsShown(isLive: Bool) throws {
        final class Screen: Reporter, Sendable {
            let isLive: Bool
            private let found = Mutex<[Double?]>([])
            var shares: [Double?] { found.withLock { $0 } }
            init(_ isLive: Bool) { self.isLive = isLive }
            func line(_ text: String) {}
            func warning(_ text: String) {}
            func progress(_ moment: RunMoment) { found.withLock { $0.append(moment.metrics.ceilingShare) } }
        }
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        (configuration.steps, configuration.warmupSteps) = (2, 1)
        configuration.hasEvents = false
        let screen = Screen(isLive)
        let final = configuration
        _ = try ThreadWorld.run(worldSize: 2) { communicator in
            try Trainer(final, communicator: communicator, reporter: communicator.rank == 0 ? screen : SilentReporter())
                .run()
        }
        #expect(screen.shares.count == 2)
        for share in screen.shares { #expect((share != nil) == isLive && share ?? 1 > 0) }
    }
}
