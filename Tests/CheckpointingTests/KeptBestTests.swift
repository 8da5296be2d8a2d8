import Basics
import Checkpointing
import Glibc
import TestSupport
import Testing

/// The checkpoint of the lowest validation loss: which one it is, that it stays, and the link that leads to it.
@Suite struct KeptBestTests {
    private static let set = TrainerState.ValidationSet(identity: "0123", sequences: 6)
    private let root: TemporaryDirectory
    private var path: FilePath { root.path }
    private var directory: CheckpointDirectory { CheckpointDirectory(path: path) }
    private var link: FilePath { path + "best" }

    init() throws { root = try TemporaryDirectory() }

    /// Saves a checkpoint whose state says that the best loss so far is of step `best`.
    @discardableResult
    private func save(
        _ step: Int, best: Int?, of set: TrainerState.ValidationSet = set, in directory: CheckpointDirectory? = nil
    ) throws -> SavedCheckpoint {
        var state = try Sample.state(step: step)
        state.bestValidationLoss = best.map { 10 - Double($0) }
        state.bestValidationStep = best
        state.evaluationsSinceBest = best.map { step - $0 }
        state.validationSet = set
        return try (directory ?? self.directory).save(step: step, files: Sample.files(step: step, state: state.json()))
    }

    private func target() throws -> String { try LocalFileSystem().target(ofLink: link).string }

    @Test func theNewestThatWasTheBest() throws {
        #expect(directory.best(of: Self.set, through: 9) == nil)
        for (step, best) in [(1, nil), (2, 2), (3, 2), (4, 4), (5, 5), (6, 5), (7, 7)] as [(Int, Int?)] {
            try save(step, best: best)
        }
        #expect((1...8).map { directory.best(of: Self.set, through: $0)?.step } == [nil, 2, 2, 4, 5, 5, 7, 7])
        for other in [("0123", 7), ("0124", 6)] {
            #expect(directory.best(of: .init(identity: other.0, sequences: other.1), through: 9) == nil)
        }
        // Step 7's save did not get so far, and of step 5's the disk lost a part.
        TemporaryDirectory.remove(path + "step-00000007")
        try writeFile(path + "step-00000005/optimizer.safetensors", [1])
        #expect(directory.best(of: Self.set, through: 9)?.step == 4)
    }

    @Test(arguments: [(1, [2, 6]), (2, [2, 5, 6]), (5, [2, 3, 4, 5, 6]), (6, [1, 2, 3, 4, 5, 6])])
    func theBestStaysBesideTheNewest(keep: Int, left: [Int]) throws {
        for step in 1...5 { try save(step, best: min(step, 2)) }
        let saved = try save(6, best: 2)
        let removed = try directory.retain(keep, after: saved, best: 2).removed
        #expect(removed.count == 6 - left.count)
        #expect(try directory.list().candidates.map(\.step) == left.reversed())
    }

    /// The last case is of a new best: the old one is among the newest, or it goes.
    @Test(arguments: [(2, [2, 6]), (6, [6])]) func oneBestAtATime(best: Int, left: [Int]) throws {
        for step in 1...5 { try save(step, best: min(step, 2)) }
        _ = try directory.retain(1, after: try save(6, best: best), best: best)
        #expect(try directory.list().candidates.map(\.step) == left.reversed())
    }

    @Test func noRoomIsMadeOfTheBest() throws {
        for step in 1...4 { try save(step, best: 1) }
        let full = CheckpointDirectory(path: path, fileSystem: FaultyFileSystem(room: { 0 }))
        let saved = try full.save(step: 5, files: Sample.files(step: 5), keep: 1, best: 1)
        #expect(saved.warnings.count == 2)
        #expect(try directory.list().candidates.map(\.step) == [5, 4, 1])
    }

    @Test func theLinkLeadsToTheBest() throws {
        for step in 1...3 { try save(step, best: step) }
        for step in [1, 3] {
            let best = try #require(directory.best(of: Self.set, through: step))
            for _ in 0..<2 { try directory.mark(best: best) }
            #expect(try target() == "step-0000000\(step)")
            #expect(try Checkpoint(verifying: link).state.step == step)
        }
        // It is no checkpoint of its own, and no name that nobody knows.
        #expect(try directory.list().candidates.map(\.step) == [3, 2, 1] && directory.list().ignored == 0)
        // A moved run takes it along.
        let moved = root.path + "moved"
        try LocalFileSystem().makeDirectory(moved)
        for name in ["best", "step-00000003"] { try #require(rename((path + name).string, (moved + name).string) == 0) }
        #expect(try Checkpoint(verifying: moved + "best").state.step == 3)
    }

    @Test func theLinkGoesWithItsCheckpoint() throws {
        for step in 1...2 { try save(step, best: step) }
        try directory.mark(best: #require(directory.best(of: Self.set, through: 1)))
        _ = try directory.retain(2, after: save(3, best: 2))
        #expect(try fileNames(in: path) == ["step-00000002", "step-00000003"])
        try directory.mark(best: #require(directory.best(of: Self.set, through: 2)))
        _ = try directory.retain(2, after: save(4, best: 2), best: 2)
        #expect(try fileNames(in: path) == ["best", "step-00000002", "step-00000003", "step-00000004"])
    }

    @Test func whatIsNoLinkStays() throws {
        try save(1, best: 1)
        let best = try #require(directory.best(of: Self.set, through: 1))
        try writeFile(link, [7])
        let file = try thrown { try directory.mark(best: best) }
        #expect(file.exitCode == .badInput && file.description.hasSuffix("is a file, expected a link"))
        #expect(try readFile(link) == [7])
        try LocalFileSystem().removeFile(link)
        try LocalFileSystem().makeDirectory(link)
        #expect(try thrown { try directory.mark(best: best) }.description.contains("is a directory"))
        #expect(try fileNames(in: path) == ["best", "step-00000001"])
    }

    /// An error, or the end, at each of its operations: the link leads to the old one or to the new one.
    @Test(arguments: [true, false]) func aLinkIsReplacedInOneStep(dies: Bool) throws {
        for step in 1...2 { try save(step, best: step) }
        let first = try #require(directory.best(of: Self.set, through: 1))
        let second = try #require(directory.best(of: Self.set, through: 2))
        var ends: Set<String> = []
        for place in 0..<6 {
            try directory.mark(best: first)
            let disk = FaultyFileSystem(dies ? .dead : .error(EIO), at: place)
            let isMarked = (try? CheckpointDirectory(path: path, fileSystem: disk).mark(best: second)) != nil
            #expect(try target() == second.name || !isMarked && target() == first.name, "operation \(place)")
            ends.insert(try target())
        }
        #expect(ends.count == 2)
    }

    @Test func aHalfMadeLinkIsSwept() throws {
        _ = try RunDirectory(path: path + "run")
        let checkpoints = path + "run/checkpoints"
        try #require(symlink("step-00000001", (checkpoints + ".best.new").string) == 0)
        try #require(symlink("step-00000001", (checkpoints + "best").string) == 0)
        #expect(try RunDirectory(path: path + "run").swept == [".best.new"])
        #expect(try fileNames(in: checkpoints) == ["best"])
    }

    /// Save, link, removal of the old best one: whenever the power goes, what the link leads to is there.
    @Test func aPowerCutLeavesNoLinkToNothing() throws {
        func run(on disk: SimulatedDisk) throws {
            let directory = CheckpointDirectory(path: "/run/checkpoints", fileSystem: disk)
            _ = try RunDirectory(path: "/run", fileSystem: disk)
            for step in 1...3 {
                let saved = try save(step, best: step, in: directory)
                if let best = directory.best(of: Self.set, through: step) { try directory.mark(best: best) }
                _ = try directory.retain(1, after: saved, best: step)
            }
        }
        let whole = SimulatedDisk()
        try run(on: whole)
        var targets: Set<String> = []
        for place in 0...whole.operations {
            for cut in SimulatedDisk.Cut.some {
                let disk = SimulatedDisk()
                disk.operationsLeft = place
                try? run(on: disk)
                disk.cutPower(cut)
                guard let target = try? disk.target(ofLink: "/run/checkpoints/best") else { continue }
                targets.insert(target.string)
                #expect(
                    (try? Checkpoint(verifying: "/run/checkpoints" + target.string, fileSystem: disk)) != nil,
                    "operation \(place), \(cut)")
            }
        }
        #expect(targets.count == 3)
    }
}
