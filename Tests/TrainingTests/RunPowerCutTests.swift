import Basics
import Checkpointing
import Collectives
import TestSupport
import Testing
import Training

/// A run on a disk whose power is cut after any operation: what was said to be saved is there with its metrics, and the
/// run goes on to the same end.
@Suite struct RunPowerCutTests {
    private static let steps = 4

    private func run(on disk: SimulatedDisk, _ reporter: any Reporter = SilentReporter()) throws -> Trainer.Outcome {
        var configuration = try Curve.configuration(runDirectory: "/run", microBatch: 4)
        configuration.steps = Self.steps
        configuration.warmupSteps = 1
        configuration.checkpointInterval = 2
        configuration.keep = 1
        return try Trainer(configuration, communicator: SingleProcess(), reporter: reporter, fileSystem: disk).run()
    }

    private func newest(on disk: SimulatedDisk) throws -> Manifest? {
        try CheckpointDirectory(path: "/run/checkpoints", fileSystem: disk).newestVerified().checkpoint?.manifest
    }

    /// The steps of the lines of metrics.jsonl.
    private func steps(on disk: SimulatedDisk) -> [Int] {
        let file = try? InputFile("/run/metrics.jsonl", fileSystem: disk)
        let text = String(decoding: (try? file?.contents(limit: 1 << 20)) ?? [], as: UTF8.self)
        return text.matches(of: /\{"step":(\d+),[^\n]*\}\n/).compactMap { Int($0.1) }
    }

    /// The steps of the events for TensorBoard.
    private func events(on disk: SimulatedDisk) -> [Int] {
        (try? EventFiles(in: "/run", fileSystem: disk).steps) ?? []
    }

    @Test func whatWasSaidToBeSavedIs() throws {
        let whole = SimulatedDisk()
        #expect(try run(on: whole) == .finished)
        let expected = try #require(try newest(on: whole))
        let cuts = SimulatedDisk.Cut.some
        #expect(whole.operations > 50)
        for place in 0...whole.operations {
            let disk = SimulatedDisk()
            disk.operationsLeft = place
            let reporter = RecordingReporter()
            _ = try? run(on: disk, reporter)
            let cut = cuts[place % cuts.count]
            disk.cutPower(cut)
            let said = reporter.lines.compactMap {
                $0.wholeMatch(of: /checkpoint saved step-(\d+)/).flatMap { Int($0.1) }
            }
            let found = try newest(on: disk)?.step ?? 0
            #expect(found >= said.max() ?? 0, "\(place), \(cut)")
            #expect(steps(on: disk).starts(with: Array(0...found).dropFirst()), "\(place), \(cut)")
            #expect(events(on: disk).starts(with: Array(0...found).dropFirst()), "\(place), \(cut)")
            #expect(try run(on: disk) == .finished)
            #expect(try newest(on: disk) == expected, "\(place), \(cut)")
            #expect(steps(on: disk) == Array(1...Self.steps), "\(place), \(cut)")
            #expect(events(on: disk) == Array(1...Self.steps), "\(place), \(cut)")
        }
    }
}
