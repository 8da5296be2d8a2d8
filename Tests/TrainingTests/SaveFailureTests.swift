import Basics
import Checkpointing
import Collectives
import Foundation
import Synchronization
import TestSupport
import Testing
import Training

/// Saves that fail: what is tolerated, how often, and what the run ends with.
@Suite struct SaveFailureTests {
    /// Takes the folder of the checkpoints away, and puts it back.
    private final class Folder: Reporter, Sendable {
        /// Failed saves after which the folder comes back, and saved steps after which it goes.
        private let plan: (backAfter: Int, awayAfter: Int?)
        private let path: String
        private let state = Mutex<(warnings: [String], saved: [Int])>(([], []))

        var warnings: [String] { state.withLock { $0.warnings } }
        var saved: [Int] { state.withLock { $0.saved } }

        init(_ path: String, backAfter: Int = .max, awayAfter: Int? = nil) {
            self.path = path
            plan = (backAfter, awayAfter)
        }

        func hide() { try? FileManager.default.moveItem(atPath: path, toPath: path + ".away") }
        private func show() { try? FileManager.default.moveItem(atPath: path + ".away", toPath: path) }

        func warning(_ text: String) {
            guard text.hasSuffix("; training goes on") else { return }
            let count = state.withLock {
                $0.warnings.append(text)
                return $0.warnings.count
            }
            if count == plan.backAfter { show() }
        }

        func line(_ text: String) {
            guard let match = text.wholeMatch(of: /checkpoint saved step-(\d+)/), let step = Int(match.1) else {
                return
            }
            state.withLock { $0.saved.append(step) }
            if step == plan.awayAfter { hide() }
        }
    }

    /// How a rank ended.
    private struct End: Sendable, Equatable {
        var step: Int
        /// Nil when the run finished or was stopped.
        var exitCode: ExitCode?
        var text = ""
    }

    private struct Course {
        var warnings: [String]
        var saved: [Int]
        var ends: [End]
    }

    /// - Parameter backAfter, awayAfter: when the folder, which is away from the start, comes back and goes again.
    private func run(
        ranks: Int, steps: Int = 8, interval: Int = 1, stopAfter: Int? = nil, backAfter: Int = .max,
        awayAfter: Int? = nil
    ) throws -> Course {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.steps = steps
        configuration.checkpointInterval = interval
        configuration.stopAfter = stopAfter
        let final = configuration
        let folder = Folder(directory.file("run/checkpoints"), backAfter: backAfter, awayAfter: awayAfter)
        let ends = try ThreadWorld.run(worldSize: ranks) { communicator in
            let voice: any Reporter = communicator.rank == 0 ? folder : SilentReporter()
            let trainer = try Trainer(final, communicator: communicator, reporter: voice)
            if communicator.rank == 0 { folder.hide() }
            do {
                _ = try trainer.run()
                return End(step: trainer.step)
            } catch {
                return End(step: trainer.step, exitCode: exitCode(of: error), text: "\(error)")
            }
        }
        return Course(warnings: folder.warnings, saved: folder.saved, ends: ends)
    }

    @Test("M: two failed saves are warnings, the third in a row ends the run with 74", arguments: [1, 2])
    func theThirdInARow(ranks: Int) throws {
        let course = try run(ranks: ranks)
        #expect(course.warnings.count == 2 && course.saved.isEmpty, "\(course)")
        for end in course.ends {
            #expect(end.step == 3 && end.exitCode == .writeFailed, "\(end)")
            #expect(end.text.hasPrefix("checkpoint step-00000003 not saved: "), "\(end)")
        }
    }

    @Test("M: a save that succeeds starts the count anew")
    func theCountStartsAnew() throws {
        let course = try run(ranks: 1, backAfter: 2, awayAfter: 3)
        #expect(course.saved == [3])
        #expect(course.warnings.count == 4, "\(course)")
        #expect(course.ends[0].step == 6 && course.ends[0].exitCode == .writeFailed, "\(course)")
    }

    @Test("M: the last save and one on request must succeed", arguments: [nil, 3])
    func theLastOneMustSucceed(stopAfter: Int?) throws {
        let course = try run(ranks: 2, steps: 5, interval: 100, stopAfter: stopAfter)
        #expect(course.warnings.isEmpty, "\(course)")
        for end in course.ends { #expect(end.step == stopAfter ?? 5 && end.exitCode == .writeFailed, "\(course)") }
    }

    /// A disk that takes nothing any more, after so many lines.
    @Test("S13: that lines of metrics are lost is said once a run", arguments: [0, 2])
    func lostLines(written: Int) throws {
        let directory = try TemporaryDirectory()
        let reporter = RecordingReporter()
        func trainer(_ name: String, on disk: FaultyFileSystem) throws -> Trainer {
            var configuration = try Curve.configuration(runDirectory: directory.file(name))
            configuration.steps = 6
            configuration.warmupSteps = 1
            configuration.hasEvents = false
            return try Trainer(configuration, communicator: SingleProcess(), reporter: reporter, fileSystem: disk)
        }
        let whole = FaultyFileSystem()
        _ = try trainer("one", on: whole)
        // The line of starts.jsonl comes first.
        let disk = FaultyFileSystem(.dead, at: whole.count + 1 + written)
        // The last save fails too.
        #expect(throws: (any Error).self) { try trainer("two", on: disk).run() }
        #expect(try metricsFields(directory.file("two")).count == written)
        let said = reporter.warnings.filter { $0.hasPrefix("a line of metrics.jsonl could not be written") }
        #expect(said.count == 1, "\(reporter.warnings)")
    }
}
