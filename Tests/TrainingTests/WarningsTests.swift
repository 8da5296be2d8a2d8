import Basics
import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// What a run warns of before its first step.
@Suite struct WarningsTests {
    /// The warnings of a run that stops after a step, and the weights that it has.
    private func warnings(
        in directory: TemporaryDirectory, ranks: Int = 1, room: Int? = nil, stopAfter step: Int = 1,
        _ change: (inout TrainingConfiguration) -> Void = { _ in }
    ) throws -> [String] {
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.stopAfter = step
        change(&configuration)
        let final = configuration
        let reporter = RecordingReporter()
        let disk: any FileSystem = room.map { bytes in FaultyFileSystem(room: { bytes }) } ?? LocalFileSystem()
        _ = try ThreadWorld.run(worldSize: ranks) { communicator in
            let voice: any Reporter = communicator.rank == 0 ? reporter : SilentReporter()
            return try Trainer(final, communicator: communicator, reporter: voice, fileSystem: disk).run()
        }
        return reporter.warnings
    }

    /// Weights and two moments of a checkpoint, in fp32.
    @Test("M: room for less than two checkpoints is a warning") func room() throws {
        let parameters = 64 * 32 + 16 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32
        for (room, isEnough) in [(24 * parameters, true), (24 * parameters - 1, false), (0, false)] {
            let said = try warnings(in: TemporaryDirectory(), room: room).filter { $0.contains("are free in") }
            #expect(said.count == (isEnough ? 0 : 1), "\(room): \(said)")
            if !isEnough {
                #expect(
                    said[0].hasPrefix("only 0 MB are free in ") && said[0].contains("two checkpoints need 0 MB; make"))
            }
        }
    }

    @Test("M: a number of ranks that has bits of its own is a warning") func bits() throws {
        for (microBatches, ranks, warns) in [(6, 2, true), (6, 3, false), (6, 1, false), (8, 2, false)] {
            let said = try warnings(in: TemporaryDirectory(), ranks: ranks) { $0.globalBatch = microBatches }
            let number = "\(microBatches / ranks) micro-batches a rank are no power of two"
            #expect(said.contains { $0.hasPrefix(number) } == warns, "\(microBatches) on \(ranks): \(said)")
        }
        let mpi = try warnings(in: TemporaryDirectory(), ranks: 2) {
            $0.globalBatch = 6
            $0.reduction = .mpi
        }
        #expect(!mpi.contains { $0.contains("power of two") }, "\(mpi)")
    }

    @Test("M: more threads than processors, and others at a resume, are warnings") func threads() throws {
        let directory = try TemporaryDirectory()
        let many = Machine().allowedProcessors + 1
        let said = try warnings(in: directory) { $0.threads = many }
        #expect(said.contains { $0.hasPrefix("\(many) threads on \(many - 1) allowed processor") }, "\(said)")
        let open = try warnings(in: directory, stopAfter: 2) { $0.threads = nil }
        let taken = open.filter { $0.hasPrefix("threads change at this resume: \(many) → ") }
        #expect(taken.count == 1 && taken[0].hasSuffix("; give --threads \(many) to keep them"), "\(open)")
        let given = try warnings(in: directory, stopAfter: 3) { $0.threads = many }
        #expect(!given.contains { $0.hasPrefix("threads change") }, "\(given)")
    }

    @Test("M: what evaluate warns of is said by one rank", arguments: [1, 3]) func evaluate(ranks: Int) throws {
        let directory = try TemporaryDirectory()
        for step in 1...2 { _ = try warnings(in: directory, stopAfter: step) }
        let newest = directory.file("run/checkpoints/step-00000002/model.safetensors")
        try Data("damaged".utf8).write(to: URL(fileURLWithPath: newest))
        var options = ModelEvaluation.Options()
        options.checkpoint = FilePath(directory.file("run"))
        options.data = FilePath(Curve.tokens)
        options.sequences = 2
        let final = options
        let reporter = RecordingReporter()
        let losses = try ThreadWorld.run(worldSize: ranks) { communicator in
            try ModelEvaluation.run(final, communicator: communicator, warn: reporter.warning).found.loss
        }
        #expect(Set(losses).count == 1)
        #expect(reporter.warnings.count == 1, "\(reporter.warnings)")
        #expect(reporter.warnings.first?.hasPrefix("checkpoint step-00000002 is passed over: ") == true)
    }
}
