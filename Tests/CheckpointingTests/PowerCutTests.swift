import Basics
import Checkpointing
import TestSupport
import Testing

/// The power is cut after every operation of a save and of the removal of the old checkpoint, and the disk keeps
/// all, nothing, a part or a torn half of what was not put on it.
@Suite struct PowerCutTests {
    private struct Run {
        let disk = SimulatedDisk()
        let checkpoints: CheckpointDirectory

        init(modernRename: Bool) throws {
            checkpoints = CheckpointDirectory(path: "/run/checkpoints", fileSystem: disk)
            disk.hasModernRename = modernRename
            _ = try RunDirectory(path: "/run", fileSystem: disk)
        }
    }

    @Test(arguments: [true, false])
    func acknowledgedMeansDurable(modernRename: Bool) throws {
        let whole = try Run(modernRename: modernRename)
        let before = whole.disk.operations
        for step in [1, 2, 3] {
            _ = try whole.checkpoints.retain(1, after: whole.checkpoints.saveSample(step: step))
        }
        let count = whole.disk.operations - before
        #expect(count > 60)
        var states = 0
        for place in 0...count {
            for cut in SimulatedDisk.Cut.some {
                let run = try Run(modernRename: modernRename)
                run.disk.operationsLeft = place
                var acknowledged = 0
                for step in [1, 2, 3] {
                    guard let saved = try? run.checkpoints.saveSample(step: step) else { break }
                    acknowledged = step
                    guard (try? run.checkpoints.retain(1, after: saved)) != nil else { break }
                }
                run.disk.cutPower(cut)
                let (newest, _) = try run.checkpoints.newestVerified()
                #expect((newest?.state.step ?? 0) >= acknowledged, "operation \(place), \(cut)")
                let swept = try RunDirectory(path: "/run", fileSystem: run.disk)
                #expect(try swept.checkpoints.newestVerified().checkpoint?.state.step == newest?.state.step)
                states += 1
            }
        }
        #expect(states > 1000)
    }

    @Test func replacingTheSameStep() throws {
        let whole = try Run(modernRename: true)
        try whole.checkpoints.saveSample(step: 1)
        let before = whole.disk.operations
        try whole.checkpoints.saveSample(step: 1, value: 9)
        for place in 0...(whole.disk.operations - before) {
            for cut in SimulatedDisk.Cut.some {
                let run = try Run(modernRename: true)
                try run.checkpoints.saveSample(step: 1)
                run.disk.operationsLeft = place
                _ = try? run.checkpoints.saveSample(step: 1, value: 9)
                run.disk.cutPower(cut)
                #expect(try run.checkpoints.newestVerified().checkpoint != nil, "operation \(place), \(cut)")
            }
        }
    }
}
